"""Transposition and slicing of dense tensors."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.emit import Expr, emit
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Permute(Kernel):
    """`sink = transpose(source[slices], order)`.

    Attributes:
        shape: of the source.
        order: axis of the source for every axis of the sink.
        slices: (start, step, extent) for every axis of the source; none: all of it.
    """

    shape: tuple[int, ...]
    order: tuple[int, ...]
    dtype: str
    slices: tuple[tuple[int, int, int], ...] = ()
    family: ClassVar[str] = "permute"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, sink."""
        return (Spec(self.shape, self.dtype), Spec(tuple(self._cuts[axis][2] for axis in self.order), self.dtype))

    @property
    def _cuts(self) -> tuple[tuple[int, int, int], ...]:
        return self.slices or tuple((0, 1, extent) for extent in self.shape)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Slice and transpose."""
        index = tuple(np.arange(extent) * step + start for start, step, extent in self._cuts)
        return [np.ascontiguousarray(inputs[0][np.ix_(*index)].transpose(self.order))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop nest over the sink; vectors along the last axis where that stays last."""
        *outer, last = self.args[1].shape
        width = 1
        with emit(self.args, target) as e, ExitStack() as stack:
            if self.order[-1] == len(self.order) - 1 and self._cuts[-1][1] == 1:
                width = e.lanes
            source, sink = e.args
            index = [stack.enter_context(e.loop(extent)) for extent in outer]

            def copy(at: Expr, lanes: int) -> None:
                place = [*index, at]
                cuts = enumerate(self._cuts)
                origin = [place[self.order.index(axis)] * step + start for axis, (start, step, _) in cuts]
                e.store(sink, e.load(source, *origin, lanes=lanes), *place, lanes=lanes)

            e.each_vector(last, copy, width)
        return e.function
