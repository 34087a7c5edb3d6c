"""How many cycles a core needs for one turn of a piece of code: a small model of issue, units and latencies.

Like other static models of throughput (llvm-mca; Laukemann et al. 2018, OSACA) it assumes that the code repeats and
that every load hits the first-level cache. The tables in `pipelines/`, one file per core, follow the cores' software
optimisation guides.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from galen.backends.emulator.decode import Instruction, is_loop
from galen.ir.errors import GalenError

_FOLDER = Path(__file__).parent / "pipelines"
_SIMULATED = 192
"""Instructions to simulate for warming up, and again for measuring, but at least one and at most eight turns."""


@dataclass(frozen=True)
class Cost:
    """What one class of instructions needs.

    Attributes:
        latency: cycles until the result can be used.
        units: groups of units, one slot of each is taken.
        forward: cycles until the next instruction of a chain can add to the result.
        busy: cycles that each slot stays taken.
        each: cycles by which every further register of a load comes later than the one before.
    """

    latency: int
    units: tuple[str, ...]
    forward: int
    busy: int = 1
    each: int = 0


@dataclass(frozen=True)
class Pipeline:
    """A core's table.

    Attributes:
        in_order: instructions start in program order.
        width: instructions (in-order cores) or micro-operations that start per cycle.
        window: micro-operations in flight, out-of-order cores.
        departure: cycles lost where control leaves a loop or jumps.
        miss: cycles that a line from the second-level cache costs beyond what the pipeline hides.
        units: group of units -> indices of the units in it; groups may share units.
        costs: by class of instruction.
    """

    name: str
    in_order: bool
    width: int
    window: int
    departure: float
    miss: float
    units: Mapping[str, tuple[int, ...]]
    costs: Mapping[str, Cost]

    def cycles(self, code: Sequence[Instruction]) -> float:
        """Return the cycles of one turn of `code`, which is either a loop or surrounded by other code."""
        if not code:
            return 0.0
        run = _InOrder(self) if self.in_order else _OutOfOrder(self)
        steps = [_step(instruction, self.cost(instruction.kind), self.units) for instruction in code]
        turns = min(max(_SIMULATED // len(code), 1), 8)
        loop, ends = is_loop(code), []
        for _ in range(2 * turns):
            if not loop:
                run.forget_registers()
            ends.append(run.turn(steps))
        return (ends[-1] - ends[turns - 1]) / turns

    def cost(self, kind: str) -> Cost:
        """Return the cost of a class; a class without a line of its own is the one without its width."""
        found = self.costs.get(kind) or self.costs.get(kind.removesuffix(".q"))
        if found is None:
            raise GalenError(f"pipeline table {self.name} lacks the class '{kind}'")
        return found


class _Step(NamedTuple):
    """An instruction with its cost, laid out for the simulation.

    Attributes:
        reads: registers it waits for, without the accumulator.
        writes: registers with the cycles until each is ready.
        groups: the units that it may choose from, for every slot.
    """

    reads: tuple[str, ...]
    accumulator: str | None
    writes: tuple[tuple[str, int], ...]
    groups: tuple[tuple[int, ...], ...]
    busy: int
    latency: int
    forward: int


def _step(instruction: Instruction, cost: Cost, units: Mapping[str, tuple[int, ...]]) -> _Step:
    reads = tuple(r for r in instruction.reads if r != instruction.accumulator)
    writes = tuple(
        (register, 1 if register == instruction.base else cost.latency + index * cost.each)
        for index, register in enumerate(instruction.writes)
    )
    groups = tuple(units[group] for group in cost.units)
    return _Step(reads, instruction.accumulator, writes, groups, cost.busy, cost.latency, cost.forward)


class _Run:
    """State of a simulation: when each register is ready, and in which cycles each unit is taken."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.ready: dict[str, int] = {}
        self.chain: dict[str, int] = {}
        self.taken: list[set[int]] = [set() for _ in range(1 + max(u for g in pipeline.units.values() for u in g))]

    def forget_registers(self) -> None:
        """Cut the dependences between turns."""
        self.ready.clear()
        self.chain.clear()

    def start(self, step: _Step, earliest: int) -> int:
        """Start a step when its operands are ready, not before `earliest`; return the cycle of its last slot."""
        ready = self.ready
        for register in step.reads:
            if (at := ready.get(register, 0)) > earliest:
                earliest = at
        accumulator = step.accumulator
        if accumulator:
            earliest = max(earliest, self.chain.get(accumulator, ready.get(accumulator, 0)))
        at = max((self._take(group, earliest, step.busy) for group in step.groups), default=earliest)
        for register, delay in step.writes:
            ready[register] = at + delay
            self.chain.pop(register, None)
        if accumulator:
            self.chain[accumulator] = at + step.forward
        return at

    def _take(self, group: tuple[int, ...], earliest: int, busy: int) -> int:
        """Take the first free slot of a group's units from `earliest` on."""
        best, chosen = -1, 0
        for unit in group:
            taken, at = self.taken[unit], earliest
            while at in taken or (busy > 1 and not taken.isdisjoint(range(at, at + busy))):
                at += 1
            if best < 0 or at < best:
                best, chosen = at, unit
            if at == earliest:
                break
        self.taken[chosen].update(range(best, best + busy))
        return best


class _InOrder(_Run):
    """Instructions start in program order, at most `width` per cycle; one that waits holds up all after it."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.cycle, self.issued = 0, 0

    def turn(self, steps: Sequence[_Step]) -> float:
        for step in steps:
            if self.issued == self.pipeline.width:
                self.cycle, self.issued = self.cycle + 1, 0
            at = self.start(step, self.cycle)
            if at > self.cycle:
                self.cycle, self.issued = at, 0
            self.issued += 1
        return self.cycle + self.issued / self.pipeline.width


class _OutOfOrder(_Run):
    """Micro-operations enter in program order, `width` per cycle, and start as soon as operands and units are free."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.entered = self.retired = 0
        self.retirements: list[int] = []

    def turn(self, steps: Sequence[_Step]) -> float:
        for step in steps:
            operations = len(step.groups) or 1
            at = self.start(step, self._enter(operations))
            self.retired = max(self.retired, at + step.latency)
            self.retirements += [self.retired] * operations
        return self.retired

    def _enter(self, operations: int) -> int:
        self.entered += operations
        oldest = self.entered - self.pipeline.window
        room = self.retirements[oldest - 1] if oldest > 0 else 0
        return max(self.entered // self.pipeline.width, room)


@cache
def tables() -> tuple[str, ...]:
    """Return the names of all tables."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


@cache
def pipeline(name: str) -> Pipeline:
    """Return the table of a core.

    Raises:
        GalenError: there is none of that name.
    """
    if name not in tables():
        raise GalenError(f"no pipeline table '{name}'", hint=f"known: {', '.join(tables())}")
    data = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    units: dict[str, int] = {}
    groups = {
        group: tuple(units.setdefault(unit, len(units)) for unit in members.split())
        for group, members in data["units"].items()
    }
    costs = {kind: _cost(line) for line, kinds in data["classes"] for kind in kinds.split()}
    scalars = {field: data[field] for field in ("in_order", "width", "window", "departure", "miss")}
    return Pipeline(name, units=groups, costs=costs, **scalars)


def _cost(text: str) -> Cost:
    """Read `6 F F forward=3 busy=2`: latency, units, options."""
    latency, *rest = text.split()
    options = {name: int(value) for name, value in (item.split("=") for item in rest if "=" in item)}
    units = tuple(item for item in rest if "=" not in item)
    return Cost(int(latency), units, **{"forward": int(latency), **options})
