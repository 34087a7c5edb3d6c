"""Copies between layouts: the edges of the network, and what moves pixels and channels without computing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit, pieces
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class ToImage(Kernel):
    """From a dense `[n, c, h, w]` tensor to an image."""

    sink: Image
    family: ClassVar[str] = "layout"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Dense tensor, image."""
        return (_dense(self.sink), self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Transpose and place."""
        return [self.sink.place(inputs[0].transpose(0, 2, 3, 1))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels that gathers one vector of channels at a time."""
        sink = self.sink
        with emit(self.args, target) as e:
            source, image = e.args
            clear_border(e, sink, image)
            with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x:
                for c in range(sink.channels):
                    value = e.load(source, n, c, y, x) if c < sink.c else e.zero(sink.dtype)
                    e.store(image, value, n, y + sink.border, x + sink.border, c)
        return e.function


@dataclass(frozen=True)
class FromImage(Kernel):
    """From an image to a dense `[n, c, h, w]` tensor."""

    source: Image
    family: ClassVar[str] = "layout"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, dense tensor."""
        return (self.source.spec, _dense(self.source))

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Take the pixels and transpose."""
        return [np.ascontiguousarray(self.source.interior(inputs[0]).transpose(0, 3, 1, 2))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels that scatters their channels."""
        source = self.source
        with emit(self.args, target) as e:
            image, dense = e.args
            with e.loop(source.n) as n, e.loop(source.h) as y, e.loop(source.w) as x, e.loop(source.c) as c:
                e.store(dense, e.load(image, n, y + source.border, x + source.border, c), n, c, y, x)
        return e.function


@dataclass(frozen=True)
class Move(Kernel):
    """Slices, pads, and the copy to a wider border.

    `sink[n, y + oy, x + ox, c + oc] = source[n, y * sy + y0, x * sx + x0, c + c0]` for all `y, x, c` below `extent`;
    `fill` elsewhere.

    Attributes:
        extent: rows, columns and channels that are copied.
        start: `y0, x0, c0`.
        stride: `sy, sx`.
        offset: `oy, ox, oc`.
        fill: what stands for zero: the zero point of integers.
    """

    source: Image
    sink: Image
    extent: tuple[int, int, int]
    start: tuple[int, int, int] = (0, 0, 0)
    stride: tuple[int, int] = (1, 1)
    offset: tuple[int, int, int] = (0, 0, 0)
    fill: int = 0
    family: ClassVar[str] = "move"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, image."""
        return (self.source.spec, self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Copy what exists."""
        out = np.full((self.sink.n, self.sink.h, self.sink.w, self.sink.c), self.fill, self.sink.dtype)
        (h, w, c), (oy, ox, oc), (y0, x0, c0) = self.extent, self.offset, self.start
        rows, columns = np.arange(h) * self.stride[0] + y0, np.arange(w) * self.stride[1] + x0
        pixels = self.source.interior(inputs[0])[:, rows[:, None], columns, c0 : c0 + c]
        out[:, oy : oy + h, ox : ox + w, oc : oc + c] = pixels
        return [self.sink.place(out, self.fill)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels that copies vectors of channels; `fill` first where pixels are missing."""
        sink, (h, w, _) = self.sink, self.extent
        with emit(self.args, target) as e:
            _, out = e.args
            clear_border(e, sink, out, e.padding(sink.dtype, self.fill))
            if (h, w) != (sink.h, sink.w):
                with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x:
                    self._fill_channels(e, out, (n, y + sink.border, x + sink.border), 0, sink.channels)
            with e.loop(sink.n) as n, e.loop(h) as y, e.loop(w) as x:
                self._pixel(e, n, y, x)
        return e.function

    def _pixel(self, e: Emitter, n: Expr, y: Expr, x: Expr) -> None:
        (oy, ox, oc), (y0, x0, c0), (sy, sx) = self.offset, self.start, self.stride
        source, (image, out), last = self.source.border, e.args, self.offset[2] + self.extent[2]
        pixel = (n, y + oy + self.sink.border, x + ox + self.sink.border)
        self._fill_channels(e, out, pixel, 0, oc)
        for c, lanes in pieces(self.extent[2], self._lanes(e)):
            value = e.load(image, n, y * sy + y0 + source, x * sx + x0 + source, c + c0, lanes=lanes)
            e.store(out, value, *pixel, c + oc, lanes=lanes)
        self._fill_channels(e, out, pixel, last, self.sink.channels - last)

    def _fill_channels(self, e: Emitter, out: Expr, pixel: tuple[Expr, Expr, Expr], start: int, count: int) -> None:
        for c, lanes in pieces(count, self._lanes(e)):
            e.store(out, e.splat(e.padding(self.sink.dtype, self.fill), lanes), *pixel, start + c, lanes=lanes)

    def _lanes(self, e: Emitter) -> int:
        return e.lanes_of(self.sink.dtype)


def _dense(image: Image) -> Spec:
    return Spec((image.n, image.c, image.h, image.w), image.dtype)
