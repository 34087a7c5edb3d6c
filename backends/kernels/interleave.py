"""Channels become pixels: DepthToSpace, and the last step of a transposed convolution."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit, pieces
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

Order = Literal["places", "channels"]


@dataclass(frozen=True)
class Interleave(Kernel):
    """Every pixel of `source` becomes `sy` x `sx` pixels of `sink`, with an epilogue.

    Attributes:
        order: of the source's channels: `places` (rows, columns, channels), ONNX's DCR, or `channels` first, its CRD.
        top, left: rows and columns of the result that are left out at its beginning; `sink` may end early, too.
        fill: what stands for zero around the result: the zero point of integers, which have no epilogue.
    """

    source: Image
    sink: Image
    sy: int
    sx: int
    order: Order = "places"
    top: int = 0
    left: int = 0
    steps: tuple[Step, ...] = ()
    fill: int = 0
    family: ClassVar[str] = "interleave"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, operands, image."""
        return (self.source.spec, *operands(self.steps), self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Reshape, transpose and cut."""
        source, sink, places = self.source, self.sink, (self.sy, self.sx)
        pixels = source.interior(inputs[0])
        if self.order == "places":
            parts = pixels.reshape(*pixels.shape[:3], *places, sink.c)
        else:
            parts = np.moveaxis(pixels.reshape(*pixels.shape[:3], sink.c, *places), 3, -1)
        shape = (source.n, source.h * self.sy, source.w * self.sx, sink.c)
        whole = parts.transpose(0, 1, 3, 2, 4, 5).reshape(shape)
        value = whole[:, self.top : self.top + sink.h, self.left : self.left + sink.w]
        return [sink.place(apply_steps(self.steps, value, inputs[1:]), self.fill)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over the source's pixels that copies the channels of every place."""
        source = self.source
        with emit(self.args, target) as e:
            clear_border(e, self.sink, e.args[-1], e.padding(self.sink.dtype, self.fill))
            with e.loop(source.n) as n, e.loop(source.h) as y, e.loop(source.w) as x:
                for dy in range(self.sy):
                    for dx in range(self.sx):
                        self._place(e, (n, y, x), dy, dx)
        return e.function

    def _place(self, e: Emitter, pixel: tuple[Expr, Expr, Expr], dy: int, dx: int) -> None:
        (n, y, x), sink = pixel, self.sink
        row, column = y * self.sy + (dy - self.top), x * self.sx + (dx - self.left)
        whole = (sink.h, sink.w) == (self.source.h * self.sy, self.source.w * self.sx)
        inside = [] if whole else [row >= 0, row < sink.h, column >= 0, column < sink.w]

        def copy(c: Expr, lanes: int) -> None:
            value = e.load(e.args[0], *self._read(pixel, dy * self.sx + dx, c), lanes=lanes)
            value = emit_steps(e, self.steps, e.args[1:-1], value, (n, row, column, c), lanes=lanes)
            e.store(e.args[-1], value, n, row + sink.border, column + sink.border, c, lanes=lanes)

        with e.when(*inside):
            vector = e.lanes_of(sink.dtype)
            e.each_vector(sink.c, copy, vector if self.order == "places" else 1)
            for c, lanes in pieces(sink.channels - sink.c, vector):
                place = (n, row + sink.border, column + sink.border, sink.c + c)
                e.store(e.args[-1], e.splat(e.padding(self.sink.dtype, self.fill), lanes), *place, lanes=lanes)

    def _read(self, pixel: tuple[Expr, Expr, Expr], place: int, c: Expr) -> tuple[Expr, ...]:
        """Return where channel `c` of a place is in the source."""
        n, y, x = pixel
        at = place * self.sink.c + c if self.order == "places" else c * (self.sy * self.sx) + place
        return n, y + self.source.border, x + self.source.border, at
