"""Convolution of int8 images: what its schemes share. A fully connected layer is one pixel.

Images have channels in multiples of 16 in memory. With no dilation along a row, the taps of one window row are
neighbours in memory, so the reduction runs over spans of `kw * channels` bytes.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.requantize import LIMITS, Addend, Requantizer, add, requantize
from galen.backends.kernels.window import Window
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

STEP = 16
"""Bytes of a span that are reduced at once."""


@dataclass(frozen=True)
class Int8Conv(Kernel):
    """Convolution, requantization and addition. Arguments: image, weights, bias, scale, limits, addend's, sink.

    Attributes:
        addend: what is added after requantization.
    """

    source: Image
    sink: Image
    window: Window
    addend: Addend | None = None

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, weights as `pack_weights` orders them, bias int32 `[co]`, scale float32 `[co]`, limits, …, output."""
        width = self.sink.channels
        weights = Spec(self.pack_weights(np.zeros(self.weight_shape, np.int8)).shape, "int8")
        others = self.addend.args if self.addend else ()
        return (
            self.source.spec,
            weights,
            Spec((width,), "int32"),
            Spec((width,), "float32"),
            LIMITS,
            *others,
            self.sink.spec,
        )

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """`[co, ci, kh, kw]` as in the model."""
        return self.sink.c, self.source.c, self.window.kh, self.window.kw

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolution."""
        return self.sink.n * self.sink.h * self.sink.w * int(np.prod(self.weight_shape))

    @abstractmethod
    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order int8 weights `[co, ci, kh, kw]` as the kernel reads them."""

    @abstractmethod
    def unpack_weights(self, packed: np.ndarray) -> np.ndarray:
        """Undo `pack_weights`."""

    @abstractmethod
    def tile(self, e: Emitter, epilogue: Requantizer, channel: Expr, width: int) -> "Tile":
        """Return the generator of register tiles for `width` output channels from `channel`."""

    def width(self, e: Emitter) -> int:  # noqa: ARG002
        """Return how many output channels are computed together."""
        return STEP

    def lanes(self, e: Emitter) -> int:  # noqa: ARG002
        """Return how many int32 are in a vector of sums."""
        return 4

    def pack_channels(self, values: np.ndarray) -> np.ndarray:
        """Extend a vector `[co]` with zeros to the channels in memory."""
        return np.pad(values, (0, self.sink.channels - self.sink.c))

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sum int32 products over all taps, requantize, add."""
        image, packed, bias, scale, limits, *others = inputs
        weights = self.unpack_weights(packed).transpose(2, 3, 1, 0).astype(np.float64)
        taps = self.window.taps(self.source, self.sink, image).astype(np.float64)
        c = self.sink.c
        value = requantize(np.tensordot(taps, weights, 3).astype(np.int32) + bias[:c], scale[:c], limits)
        if self.addend:
            other = self.addend.image.interior(others[0])
            limits = others[2]
            value = add(*((other, value) if self.addend.first else (value, other)), others[1], limits)
        return [self.sink.place(value, limits[0])]

    @property
    def spans(self) -> tuple[int, int, int]:
        """Runs of taps that are neighbours in memory: per window row, per column, and the bytes of each."""
        if self.window.dx == 1:
            return self.window.kh, 1, self.window.kw * self.source.channels
        return self.window.kh, self.window.kw, self.source.channels

    @property
    def steps(self) -> int:
        """Steps of 16 bytes in a span."""
        return -(-self.spans[2] // STEP)

    def pack_spans(self, weights: np.ndarray) -> np.ndarray:
        """Return `[channels in memory, kh, columns, steps * 16]` with zeros where there is nothing to multiply."""
        rows, columns, span = self.spans
        width, memory = self.sink.channels, self.source.channels
        taps = np.zeros((width, self.window.kh, self.window.kw, memory), np.int8)
        taps[: self.sink.c, ..., : self.source.c] = weights.transpose(0, 2, 3, 1)
        return np.pad(taps.reshape(width, rows, columns, span), [(0, 0)] * 3 + [(0, self.steps * STEP - span)])

    def unpack_spans(self, spans: np.ndarray) -> np.ndarray:
        """Undo `pack_spans`."""
        taps = spans[..., : self.spans[2]].reshape(
            self.sink.channels, self.window.kh, self.window.kw, self.source.channels
        )
        return taps[: self.sink.c, ..., : self.source.c].transpose(0, 3, 1, 2)

    def address(self, y: Expr, x: Expr, row: Expr, column: Expr) -> tuple[Expr, Expr]:
        """Return row and column in the source's memory where a span of output pixel `(y, x)` begins."""
        w, b = self.window, self.source.border
        return y * w.sy + row * w.dy + b - w.top, x * w.sx + column * w.dx + b - w.left

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over blocks of channels, images, rows and tiles of pixels around one register tile."""
        with emit(self.args, target) as e:
            epilogue = Requantizer(e, self.sink, self.addend, e.args[3:], self.lanes(e))
            clear_border(e, self.sink, e.args[-1], epilogue.border)
            for first, count, width in split(self.sink.channels, self.width(e)):
                with e.loop(count) as index:
                    self._rows(e, self.tile(e, epilogue, first + index * width, width))
        return e.function

    def _rows(self, e: Emitter, tile: "Tile") -> None:
        with e.loop(self.sink.n) as n, e.loop(self.sink.h) as y:
            for first, count, pixels in split(self.sink.w, min(tile.pixels, self.sink.w)):
                with e.loop(count) as index:
                    tile.emit(n, y, first + index * pixels, pixels)


class Tile(Protocol):
    """A register tile: some neighbouring pixels times some output channels.

    Attributes:
        pixels: the most that it takes at once.
    """

    pixels: int

    def emit(self, n: Expr, y: Expr, x: Expr, pixels: int) -> None:
        """Emit initialisation, reduction and epilogue for output pixels from `(n, y, x)`."""


def split(extent: int, size: int) -> list[tuple[int, int, int]]:
    """Cut an extent into pieces of `size` and a rest, as (first, how many pieces, size of each)."""
    whole, rest = divmod(extent, size)
    pieces = [(0, whole, size), (whole * size, 1, rest)]
    return [(first, count, width) for first, count, width in pieces if count and width]
