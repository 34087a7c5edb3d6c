"""How many cycles a core needs for one turn of a basic block: a small model of issue, units and latencies.

Like other static models of throughput (llvm-mca; Laukemann et al. 2018, OSACA) it assumes that the block repeats and
that every load hits the first-level cache. The tables in `pipelines/`, one file per core, follow the cores' software
optimisation guides.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from galen.backends.emulator.decode import Instruction
from galen.ir.errors import GalenError

_FOLDER = Path(__file__).parent / "pipelines"
_WARM_UP, _TURNS = 4, 8


@dataclass(frozen=True)
class Cost:
    """What one class of instructions needs.

    Attributes:
        latency: cycles until the result can be used.
        units: groups of units, one slot of each is taken.
        forward: cycles until the next instruction of a chain can add to the result.
        busy: cycles that each slot stays taken.
    """

    latency: int
    units: tuple[str, ...]
    forward: int
    busy: int = 1


@dataclass(frozen=True)
class Pipeline:
    """A core's table.

    Attributes:
        in_order: instructions start in program order.
        width: instructions (in-order cores) or micro-operations that start per cycle.
        window: micro-operations in flight, out-of-order cores.
        units: group of units -> indices of the units in it; groups may share units.
        costs: by class of instruction.
    """

    name: str
    in_order: bool
    width: int
    window: int
    units: Mapping[str, tuple[int, ...]]
    costs: Mapping[str, Cost]

    def cycles(self, block: Sequence[Instruction]) -> float:
        """Return the cycles of one turn of `block`, at least its share of the issue width."""
        if not block:
            return 0.0
        run = _InOrder(self) if self.in_order else _OutOfOrder(self)
        ends = [run.turn(block) for _ in range(_WARM_UP + _TURNS)]
        return (ends[-1] - ends[_WARM_UP - 1]) / _TURNS

    def cost(self, kind: str) -> Cost:
        """Return the cost of a class; a class without a line of its own is the one without its width."""
        found = self.costs.get(kind) or self.costs.get(kind.removesuffix(".q"))
        if found is None:
            raise GalenError(f"pipeline table {self.name} lacks the class '{kind}'")
        return found


class _Run:
    """State of a simulation: when each register is ready and each unit free."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.ready: dict[str, float] = {}
        self.chain: dict[str, float] = {}
        self.free = [0.0] * (1 + max(i for group in pipeline.units.values() for i in group))

    def operands_ready(self, instruction: Instruction) -> float:
        early = instruction.accumulator
        times = [self.ready.get(r, 0.0) for r in instruction.reads if r != early]
        if early:
            times.append(self.chain.get(early, self.ready.get(early, 0.0)))
        return max(times, default=0.0)

    def start(self, instruction: Instruction, cost: Cost, earliest: float) -> float:
        """Take the units at the first cycle from `earliest` at which all are free; return that cycle."""
        taken: list[int] = []
        at = earliest
        for group in cost.units:
            unit = min((u for u in self.pipeline.units[group]), key=lambda u: (self.free[u] + (u in taken), u))
            taken.append(unit)
            at = max(at, self.free[unit])
        for unit in taken:
            self.free[unit] = max(at, self.free[unit]) + cost.busy
        self._finish(instruction, cost, at)
        return at

    def _finish(self, instruction: Instruction, cost: Cost, at: float) -> None:
        for register in instruction.writes:
            self.ready[register] = at + (1 if register == instruction.base else cost.latency)
            self.chain.pop(register, None)
        if instruction.accumulator:
            self.chain[instruction.accumulator] = at + cost.forward


class _InOrder(_Run):
    """Instructions start in program order, at most `width` per cycle; one that waits holds up all after it."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__(pipeline)
        self.cycle, self.issued = 0.0, 0

    def turn(self, block: Sequence[Instruction]) -> float:
        for instruction in block:
            cost = self.pipeline.cost(instruction.kind)
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
        self.entered = 0
        self.retired = 0.0
        self.retirements: list[float] = []

    def turn(self, block: Sequence[Instruction]) -> float:
        for instruction in block:
            cost = self.pipeline.cost(instruction.kind)
            at = self.start(instruction, cost, max(self._enter(len(cost.units)), self.operands_ready(instruction)))
            self.retired = max(self.retired, at + cost.latency)
            self.retirements += [self.retired] * max(len(cost.units), 1)
        return self.retired

    def _enter(self, operations: int) -> float:
        self.entered += max(operations, 1)
        oldest = self.entered - self.pipeline.window
        room = self.retirements[oldest - 1] if oldest > 0 else 0.0
        return max(self.entered / self.pipeline.width, room)


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
    costs = {kind: _cost(line) for line, kinds in data["classes"].items() for kind in kinds.split()}
    return Pipeline(name, data["in_order"], data["width"], data["window"], groups, costs)


def _cost(text: str) -> Cost:
    """Read `6 F F forward=3 busy=2`: latency, units, options."""
    latency, *rest = text.split()
    options: dict[str, Any] = dict(item.split("=") for item in rest if "=" in item)
    units = tuple(item for item in rest if "=" not in item)
    return Cost(int(latency), units, int(options.get("forward", latency)), int(options.get("busy", 1)))
