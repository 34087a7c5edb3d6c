"""Watchers look at a model between passes: they print, verify and compare. Passes know nothing of them."""

from collections import Counter
from typing import Any, TextIO

import numpy as np

from galen.ir import GalenError, Model
from galen.ir.edit import all_nodes
from galen.ir.execute import Arrays, run
from galen.ir.shapes import Shapes
from galen.ir.show import show
from galen.ir.verify import verify
from galen.passes.base import Pass
from galen.passes.fields import CHILDREN


class Watcher:
    """Is told of every pass of a pipeline. Overrides what it needs; it must not change the model."""

    def before(self, each: Pass, model: Model) -> None:
        """Look at the model that the pass will rewrite."""

    def after(self, each: Pass, model: Model) -> None:
        """Look at the model that the pass has rewritten."""

    def finish(self) -> None:
        """Do what is to be done when all passes are through."""


class Printer(Watcher):
    """Writes the model before and after passes of the given names; `None` stands for every pass."""

    def __init__(self, out: TextIO, *, before: frozenset[str], after: frozenset[str] | None) -> None:
        self._out, self._before, self._after = out, before, after

    def before(self, each: Pass, model: Model) -> None:
        """Write the model if asked for."""
        if each.name in self._before:
            self._out.write(f"// before {each}\n{show(model)}\n")

    def after(self, each: Pass, model: Model) -> None:
        """Write the model if asked for."""
        if self._after is None or each.name in self._after:
            self._out.write(f"// after {each}\n{show(model)}\n")


class Explainer(Watcher):
    """Writes what each pass says it will do, then which operators came and went; what is inside a pass is indented."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._operators: list[Counter[str]] = []

    def before(self, each: Pass, model: Model) -> None:
        """Let the pass explain itself."""
        self._write(str(each))
        self._operators.append(_operators(model))
        for line in each.explain(model):
            self._write(line)

    def after(self, each: Pass, model: Model) -> None:  # noqa: ARG002
        """Write the difference in operators."""
        now, old = _operators(model), self._operators[-1]
        changes = [f"{op} {now[op] - old[op]:+d}" for op in sorted(now | old) if now[op] != old[op]]
        self._write(f"operators: {', '.join(changes) or 'as before'}")
        self._operators.pop()

    def _write(self, line: str) -> None:
        self._out.write(f"{'  ' * len(self._operators)}{line}\n")


def _operators(model: Model) -> Counter[str]:
    return Counter(node.op_type for node in all_nodes(model))


class Verifier(Watcher):
    """Verifies the model after every pass and checks that passes keep what they promise about the outputs.

    Args:
        inputs: what the model is run on, None: it is not run (custom operators).
        shapes: numbers for dynamic inputs.
    """

    def __init__(self, inputs: Arrays | None, shapes: Shapes | None = None) -> None:
        self._inputs, self._shapes = inputs, shapes
        self._outputs: Arrays | None = None

    def before(self, each: Pass, model: Model) -> None:  # noqa: ARG002
        """Run the model, unless the previous pass's result is still there."""
        if self._inputs is not None and self._outputs is None:
            self._outputs = run_on(model, self._inputs)

    def after(self, each: Pass, model: Model) -> None:
        """Raise GalenError when the model is broken or its outputs moved further than the pass allows."""
        if hasattr(each, CHILDREN):
            return  # what is inside has been verified
        try:
            verify(model, self._shapes)
        except GalenError as error:
            raise GalenError(f"left a broken model: {error}", where=f"pass {each}") from error
        if self._inputs is not None and self._outputs is not None:
            outputs = run_on(model, self._inputs)
            check_promise(each, self._outputs, outputs)
            self._outputs = outputs


def run_on(model: Model, inputs: Arrays) -> Arrays:
    """Run the graph as it is written; a pass may have removed inputs."""
    names = {value.name for value in model.graph.inputs}
    return run(model, {name: array for name, array in inputs.items() if name in names}, optimize=False)


def check_promise(each: Pass, before: Arrays, after: Arrays) -> None:
    """Raise GalenError when the outputs moved further than the pass's tolerance."""
    allowed = tolerance_of(each)
    name, change = largest_change(before, after)
    if allowed is not None and not change <= allowed:
        raise GalenError(f"changes output {name} by {change:.3g}, its tolerance is {allowed:.3g}", where=f"pass {each}")


def tolerance_of(each: Pass) -> float | None:
    """Return the largest relative change of the outputs that a pass may cause; None: any."""
    children = getattr(each, CHILDREN, None)
    if children is None:
        return each.tolerance
    tolerances = [tolerance_of(child) for child in children]
    return None if None in tolerances else sum(filter(None, tolerances))


def largest_change(before: Arrays, after: Arrays) -> tuple[str, float]:
    """Return the output that changed most, and by how much relative to its largest magnitude (1 at least)."""
    changes = [(name, _change(array, after.get(name))) for name, array in before.items()]
    return max(changes, key=lambda item: (np.isnan(item[1]), item[1]), default=("", 0.0))


def _change(before: Any, after: Any) -> float:
    """Compare arrays; sequences and maps of them, which some models return, item by item."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return max(map(_change, before, after), default=0.0)
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return max((_change(before[key], after[key]) for key in before), default=0.0)
    if any(isinstance(value, list | dict | None) for value in (before, after)):
        return 0.0 if before is None and after is None else float("inf")
    return _array_change(np.asarray(before), np.asarray(after))


def _array_change(before: np.ndarray, after: np.ndarray) -> float:
    if before.shape != after.shape or before.dtype != after.dtype:
        return float("inf")
    if before.size == 0 or np.array_equal(before, after):
        return 0.0
    if before.dtype.kind not in "fiub":
        return float("inf")
    a, b = before.astype(np.float64), after.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):  # infinity minus infinity, where both are the same
        difference = np.where(same, 0.0, np.abs(a - b))
    magnitude = max(1.0, float(np.max(np.abs(a), where=np.isfinite(a), initial=0.0)))
    return float(difference.max()) / magnitude
