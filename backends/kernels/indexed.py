"""Elements chosen by computed indices: GatherElements, GatherND, ScatterND and TopK.

Negative indices count from the end.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class GatherElements(Kernel):
    """`sink[i] = source[i with index[i] on one axis]`. Arguments: source, index, sink."""

    source: Spec
    index: Spec
    axis: int
    family: ClassVar[str] = "gather"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, index, sink."""
        return (self.source, self.index, Spec(self.index.shape, self.source.dtype))

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Take along the axis."""
        places = list(np.indices(self.index.shape))
        places[self.axis] = inputs[1]
        return [inputs[0][tuple(places)]]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over all elements."""
        with emit(self.args, target) as e, ExitStack() as stack:
            source, index, sink = e.args
            place = _loops(e, stack, self.index.shape)
            read = list(place)
            read[self.axis] = _index(e, e.load(index, *place), self.source.shape[self.axis])
            e.store(sink, e.load(source, *read), *place)
        return e.function


@dataclass(frozen=True)
class GatherND(Kernel):
    """`sink[i] = source[index[i]]`, each index the first axes behind `batch` common ones. Arguments as above."""

    source: Spec
    index: Spec
    batch: int = 0
    family: ClassVar[str] = "gather"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, index, sink."""
        rest = self.source.shape[self.batch + self.index.shape[-1] :]
        return (self.source, self.index, Spec((*self.index.shape[:-1], *rest), self.source.dtype))

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Index one element of `index` after the other."""
        out = np.zeros(self.args[2].shape, self.source.dtype)
        for place in product(*map(range, self.index.shape[:-1])):
            out[place] = inputs[0][(*place[: self.batch], *inputs[1][place])]
        return [out]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over all elements."""
        with emit(self.args, target) as e, ExitStack() as stack:
            source, index, sink = e.args
            place = _loops(e, stack, self.index.shape[:-1])
            found = _indices(e, index, place, self.source.shape[self.batch :])
            rest = _loops(e, stack, self.args[2].shape[len(place) :])
            e.store(sink, e.load(source, *place[: self.batch], *found, *rest), *place, *rest)
        return e.function


@dataclass(frozen=True)
class ScatterND(Kernel):
    """A copy of `source` with `updates` at `index`. Arguments: source, index, updates, sink.

    Attributes:
        reduction: what becomes of the element that was there.
    """

    source: Spec
    index: Spec
    reduction: Literal["none", "add", "mul"] = "none"
    family: ClassVar[str] = "scatter"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, index, updates, sink."""
        rest = self.source.shape[self.index.shape[-1] :]
        return (self.source, self.index, Spec((*self.index.shape[:-1], *rest), self.source.dtype), self.source)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Write one update after the other."""
        out = inputs[0].copy()
        for place in product(*map(range, self.index.shape[:-1])):
            at = tuple(inputs[1][place])
            out[at] = _combined(self.reduction, out[at], inputs[2][place])
        return [out]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a copy, then a loop over the updates in order."""
        with emit(self.args, target) as e, ExitStack() as stack:
            source, index, updates, sink = e.args
            size = prod(self.source.shape)
            flat, copy = e.flat(source, size), e.flat(sink, size)
            with e.loop(size) as i:
                e.store(copy, e.load(flat, i), i)
            place = _loops(e, stack, self.index.shape[:-1])
            found = _indices(e, index, place, self.source.shape)
            rest = _loops(e, stack, self.source.shape[len(found) :])
            value = _combined(self.reduction, e.load(sink, *found, *rest), e.load(updates, *place, *rest))
            e.store(sink, value, *found, *rest)
        return e.function


@dataclass(frozen=True)
class TopK(Kernel):
    """The `count` largest (or smallest) of every row, in order, equals by position. Arguments: rows, values, positions.

    Every one is found by a pass over the row, so this is for small `count`.
    """

    rows: int
    columns: int
    count: int
    largest: bool
    family: ClassVar[str] = "top-k"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Rows `[rows, columns]`, values and positions `[rows, count]`."""
        shape = (self.rows, self.count)
        return (Spec((self.rows, self.columns), "float32"), Spec(shape, "float32"), Spec(shape, "int64"))

    @property
    def outputs(self) -> int:
        """Values and positions."""
        return 2

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sort."""
        places = np.argsort(-inputs[0] if self.largest else inputs[0], axis=-1, kind="stable")[:, : self.count]
        return [np.take_along_axis(inputs[0], places, -1), places.astype(np.int64)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return, for every result, a pass that looks for the best element after the last one in order."""
        with emit(self.args, target) as e, e.loop(self.rows) as row, e.loop(self.count) as k:
            source, values, places = e.args
            (best,), (place,) = e.registers(1, 1), e.registers(1, 1, "int32")
            place.set(e.T.int32(-1))
            with e.loop(self.columns) as c:
                x = e.let(e.load(source, row, c))
                later = e.T.Or(k == 0, self._follows(e, (row, k), x, c))
                with e.when(later, e.T.Or(place.value < 0, self._beats(x, best.value))):
                    best.set(x)
                    place.set(c if not isinstance(c, int) else e.T.int32(c))
            e.store(values, best.value, row, k)
            e.store(places, e.T.Cast("int64", place.value), row, k)
        return e.function

    def _beats(self, a: Expr, b: Expr) -> Expr:
        return a > b if self.largest else a < b

    def _follows(self, e: Emitter, result: tuple[Expr, Expr], x: Expr, c: Expr) -> Expr:
        """Return whether the element comes after the result before `result`: worse, or equal and further right."""
        row, k = result
        _, values, places = e.args
        before = e.T.max(k - 1, 0)
        last, at = e.load(values, row, before), e.T.Cast("int32", e.load(places, row, before))
        return e.T.Or(self._beats(last, x), e.T.And(x == last, c > at))


def _loops(e: Emitter, stack: ExitStack, shape: Sequence[int]) -> list[Expr]:
    """Open one loop per axis."""
    return [stack.enter_context(e.loop(extent)) for extent in shape]


def _index(e: Emitter, value: Expr, extent: int) -> Expr:
    given = e.let(e.T.Cast("int32", value))
    return e.let(e.T.Select(given < 0, given + extent, given))


def _indices(e: Emitter, index: Any, place: Sequence[Expr], shape: Sequence[int]) -> list[Expr]:
    """Return the numbers of one row of `index`."""
    return [_index(e, e.load(index, *place, axis), shape[axis]) for axis in range(int(index.shape[-1]))]


def _combined(reduction: str, old: Any, new: Any) -> Any:
    return {"none": lambda: new, "add": lambda: old + new, "mul": lambda: old * new}[reduction]()
