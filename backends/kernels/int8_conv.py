"""Convolution of int8 images: what all its algorithms share. A fully connected layer is one row of pixels."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, pieces
from galen.backends.kernels.requantize import LIMITS, Addend, add, requantize
from galen.backends.kernels.window import Window

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
    weight_dtype: ClassVar[str] = "int8"

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, weights as `pack_weights` orders them, bias int32 `[co]`, scale float32 `[co]`, limits, …, output."""
        width = self.sink.channels
        weights = Spec(self.pack_weights(np.zeros(self.weight_shape, np.int8)).shape, self.weight_dtype)
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

    def pack_channels(self, values: np.ndarray) -> np.ndarray:
        """Extend a vector `[co]` with zeros to the channels in memory."""
        return np.pad(values, (0, self.sink.channels - self.sink.c))

    def sums(self, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return int32 `[n, h, w, co]` of taps `[n, h, w, kh, kw, ci]` and weights `[co, ci, kh, kw]`."""
        exact = np.tensordot(taps.astype(np.float64), weights.transpose(2, 3, 1, 0).astype(np.float64), 3)
        return exact.astype(np.int32)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sum int32 products over all taps, requantize, add."""
        image, packed, bias, scale, limits, *others = inputs
        taps = self.window.taps(self.source, self.sink, image)
        c = self.sink.c
        value = requantize(self.sums(taps, self.unpack_weights(packed)) + bias[:c], scale[:c], limits)
        if self.addend:
            other = self.addend.image.interior(others[0])
            limits = others[2]
            value = add(*((other, value) if self.addend.first else (value, other)), others[1], limits)
        return [self.sink.place(value, limits[0])]


def clear_padding(e: Emitter, image: Image, buffer: Expr, zero: Expr, first: int) -> None:
    """Write `zero` into the channels from `first` on, which only pad `image`, of all pixels inside the border."""
    if first == image.channels:
        return
    with e.loop(image.n) as n, e.loop(image.h) as y, e.loop(image.w) as x:
        for at, lanes in pieces(image.channels - first, STEP):
            place = n, y + image.border, x + image.border, first + at
            e.store(buffer, e.splat(zero, lanes, "int8"), *place, lanes=lanes)


def split(extent: int, size: int) -> list[tuple[int, int, int]]:
    """Cut an extent into pieces of `size` and a rest, as (first, how many pieces, size of each)."""
    whole, rest = divmod(extent, size)
    pieces = [(0, whole, size), (whole * size, 1, rest)]
    return [(first, count, width) for first, count, width in pieces if count and width]
