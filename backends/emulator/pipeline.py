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

from galen.backends.emulator.decode import Instruction, is_loop
from galen.ir.errors import GalenError

_FOLDER = Path(__file__).parent / "pipelines"
_SIMULATED = 256
"""Instructions to simulate for warming up, and again for measuring, but at least two and at most eight turns."""


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
        priced = [(instruction, self.cost(instruction.kind)) for instruction in code]
        turns = min(max(_SIMULATED // len(code), 2), 8)
        ends = []
        for _ in range(2 * turns):
            if not is_loop(code):
                run.forget_registers()
            ends.append(run.turn(priced))
        return (ends[-1] - ends[turns - 1]) / turns

    def cost(self, kind: str) -> Cost:
        """Return the cost of a class; a class without a line of its own is the one without its width."""
        found = self.costs.get(kind) or self.costs.get(kind.removesuffix(".q"))
        if found is None:
            raise GalenError(f"pipeline table {self.name} lacks the class '{kind}'")
        return found


Priced = tuple[Instruction, Cost]


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

    def operands_ready(self, instruction: Instruction) -> int:
        early = instruction.accumulator
        times = [self.ready.get(r, 0) for r in instruction.reads if r != early]
        if early:
            times.append(self.chain.get(early, self.ready.get(early, 0)))
        return max(times, default=0)

    def start(self, instruction: Instruction, cost: Cost, earliest: int) -> int:
        """Take a slot of every group of units from `earliest` on; return the cycle of the last one."""
        at = earliest
        for group in cost.units:
            slots = [(self._free(unit, earliest, cost.busy), unit) for unit in self.pipeline.units[group]]
            slot, unit = min(slots)
            self.taken[unit].update(range(slot, slot + cost.busy))
            at = max(at, slot)
        for index, register in enumerate(instruction.writes):
            self.ready[register] = at + (1 if register == instruction.base else cost.latency + index * cost.each)
            self.chain.pop(register, None)
        if instruction.accumulator:
            self.chain[instruction.accumulator] = at + cost.forward
        return at

    def _free(self, unit: int, at: int, busy: int) -> int:
        taken = self.taken[unit]
        while at in taken or (busy > 1 and not taken.isdisjoint(range(at, at + busy))):
            at += 1
        return at


class _InOrder(_Run):
    """Instructions start in program order, at most `width` per cycle; one that waits holds up all after it."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.cycle, self.issued = 0, 0

    def turn(self, code: Sequence[Priced]) -> float:
        for instruction, cost in code:
            if self.issued == self.pipeline.width:
                self.cycle, self.issued = self.cycle + 1, 0
            at = self.start(instruction, cost, max(self.cycle, self.operands_ready(instruction)))
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

    def turn(self, code: Sequence[Priced]) -> float:
        for instruction, cost in code:
            operations = max(len(cost.units), 1)
            at = self.start(instruction, cost, max(self._enter(operations), self.operands_ready(instruction)))
            self.retired = max(self.retired, at + cost.latency)
            self.retirements += [self.retired] * operations
        return self.retired

    def _enter(self, operations: int) -> int:
        self.entered += operations
        oldest = self.entered - self.pipeline.window
        room = self.retirements[oldest - 1] if oldest > 0 else 0
        return max(self.entered // self.pipeline.width, room)


@cache
def pipeline(name: str) -> Pipeline:
    """Return the table of a core.

    Raises:
        GalenError: there is none of that name.
    """
    path = _FOLDER / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in _FOLDER.glob("*.json")))
        raise GalenError(f"no pipeline table '{name}'", hint=f"known: {known}")
    data = json.loads(path.read_text(encoding="utf-8"))
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
