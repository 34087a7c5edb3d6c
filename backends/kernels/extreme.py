"""Where the largest or smallest element along an axis is: ArgMax and ArgMin."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

Choice = Literal["first", "last"]


@dataclass(frozen=True)
class Extreme(Kernel):
    """Position of the extreme element of `[outer, extent, inner]` along the middle axis, as int64 `[outer, inner]`.

    Attributes:
        choice: which of equal elements.
    """

    shape: tuple[int, int, int]
    kind: Literal["max", "min"]
    choice: Choice = "first"
    dtype: str = "float32"
    family: ClassVar[str] = "arg-extreme"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, positions."""
        return (Spec(self.shape, self.dtype), Spec((self.shape[0], self.shape[2]), "int64"))

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Search from the chosen end."""
        find = np.argmax if self.kind == "max" else np.argmin
        if self.choice == "first":
            return [find(inputs[0], 1)]
        return [self.shape[1] - 1 - find(inputs[0][:, ::-1], 1)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop along the axis for vectors of what lies beside, or for vectors of the axis itself."""
        outer, _, inner = self.shape
        with emit(self.args, target) as e, e.loop(outer) as o:
            if inner == 1:
                self._row(e, o)
            else:
                e.each_vector(inner, lambda c, lanes: self._columns(e, o, c, lanes), self._lanes(e))
        return e.function

    def _columns(self, e: Emitter, o: Expr, c: Expr, lanes: int) -> None:
        """Store the positions in `lanes` neighbouring columns."""
        _, place = self._search(e, self.shape[1], lanes, lambda k: e.load(e.args[0], o, k, c, lanes=lanes))
        e.store(e.args[1], e.T.Cast("int64" if lanes == 1 else f"int64x{lanes}", place), o, c, lanes=lanes)

    def _row(self, e: Emitter, o: Expr) -> None:
        """Store the position in one row: every lane searches its share, then they and what is left are compared."""
        extent, lanes = self.shape[1], self._lanes(e)
        row, whole = e.flat(e.args[0], self.shape[0] * extent), extent // lanes
        found: list[tuple[Expr, Expr]] = []
        if whole:
            values, places = self._search(e, whole, lanes, lambda k: e.load(row, o * extent + k * lanes, lanes=lanes))
            of_lane = [(e.part(values, i, 1, lanes), e.part(places, i, 1, lanes) * lanes + i) for i in range(lanes)]
            found += [(e.let(x), e.let(at)) for x, at in of_lane]
        found += [(e.let(e.load(row, o * extent + k)), e.T.int32(k)) for k in range(whole * lanes, extent)]
        (best,), (place,) = e.registers(1, 1, self.dtype), e.registers(1, 1, "int32")
        best.set(found[0][0])
        place.set(found[0][1])
        for x, at in found[1:]:
            nearer = at < place.value if self.choice == "first" else at > place.value
            with e.when(e.T.Or(self._better(x, best.value), e.T.And(e.T.EQ(x, best.value), nearer))):
                best.set(x)
                place.set(at)
        e.store(e.args[1], e.T.Cast("int64", place.value), o, 0)

    def _search(self, e: Emitter, count: int, lanes: int, element: Callable[[Expr], Expr]) -> tuple[Expr, Expr]:
        """Return in every lane the extreme one of `count` elements and its number."""
        (best,), (place,) = e.registers(1, lanes, self.dtype), e.registers(1, lanes, "int32")
        best.set(element(0))
        place.set(e.splat(e.T.int32(0), lanes))
        if count > 1:
            with e.loop(count - 1) as k:
                x, number = e.let(element(k + 1)), e.splat(e.T.Cast("int32", k + 1), lanes)
                place.set(e.T.Select(self._wins(e, x, best.value), number, place.value))
                best.set(e.T.Select(self._wins(e, x, best.value), x, best.value))
        return e.let(best.value), e.let(place.value)

    def _wins(self, e: Emitter, x: Expr, best: Expr) -> Expr:
        """Return whether a later element takes the place of the best so far."""
        if self.choice == "last":
            return e.T.Or(self._better(x, best), e.T.EQ(x, best))
        return self._better(x, best)

    def _better(self, a: Expr, b: Expr) -> Expr:
        return a > b if self.kind == "max" else a < b

    def _lanes(self, e: Emitter) -> int:
        return e.lanes * 4 // np.dtype(self.dtype).itemsize
