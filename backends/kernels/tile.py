"""Repetition: Tile, and Expand, which repeats what has extent 1."""

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
class Tile(Kernel):
    """`sink = tile(source, repeats)`."""

    shape: tuple[int, ...]
    repeats: tuple[int, ...]
    dtype: str
    family: ClassVar[str] = "tile"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, sink."""
        wide = tuple(extent * times for extent, times in zip(self.shape, self.repeats, strict=True))
        return (Spec(self.shape, self.dtype), Spec(wide, self.dtype))

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Tile."""
        return [np.tile(inputs[0], self.repeats)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return, per axis, a loop over the repetitions around one over the elements; vectors along the last axis."""
        with emit(self.args, target) as e, ExitStack() as stack:
            source, sink = e.args
            times = [stack.enter_context(e.loop(count)) for count in self.repeats]
            place = [stack.enter_context(e.loop(extent)) for extent in self.shape[:-1]]
            *starts, last = [t * extent for t, extent in zip(times, self.shape, strict=True)]
            write = [start + i for start, i in zip(starts, place, strict=True)]

            def copy(c: Expr, lanes: int) -> None:
                e.store(sink, e.load(source, *place, c, lanes=lanes), *write, last + c, lanes=lanes)

            e.each_vector(self.shape[-1], copy, e.lanes_of(self.dtype))
        return e.function
