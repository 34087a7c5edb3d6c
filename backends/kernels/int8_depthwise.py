"""Depthwise int8 convolution: one channel in, one out, so lanes are channels and nothing is added across them.

Products of two taps are summed in int16 (weights are at least -127), then widened to int32. Weights are ordered
`[16 channels][taps][16 channels]`.
"""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.int8_conv import STEP, Int8Conv, split
from galen.backends.kernels.requantize import Requantizer
from galen.backends.kernels.simd import halves, smull
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

_PIXELS = 2


@dataclass(frozen=True)
class DepthwiseConv(Int8Conv):
    """Convolution of every channel with a window of its own."""

    family: ClassVar[str] = "int8-depthwise"

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """`[c, 1, kh, kw]`."""
        return self.sink.c, 1, self.window.kh, self.window.kw

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order int8 `[c, 1, kh, kw]` as the module says, flat."""
        taps = np.zeros((self.sink.channels, self.window.kh * self.window.kw), np.int8)
        taps[: self.sink.c] = weights.reshape(self.sink.c, -1)
        return taps.reshape(-1, STEP, taps.shape[1]).transpose(0, 2, 1).ravel()

    def unpack_weights(self, packed: np.ndarray) -> np.ndarray:
        """Undo `pack_weights`."""
        taps = packed.reshape(-1, self.window.kh * self.window.kw, STEP).transpose(0, 2, 1)
        return taps.reshape(self.sink.channels, -1)[: self.sink.c].reshape(self.weight_shape)

    def sums(self, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return int32 `[n, h, w, c]` of taps `[n, h, w, kh, kw, c]`."""
        sums = np.einsum("nhwyxc,cyx->nhwc", taps.astype(np.int32), weights[:, 0].astype(np.int32))
        return np.asarray(sums, np.int32)

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over channels and pixels around unrolled taps."""
        with emit(self.args, target) as e:
            epilogue = Requantizer(e, self.sink, self.addend, e.args[3:], 4 if e.arm else STEP)
            clear_border(e, self.sink, e.args[-1], epilogue.border)
            with e.loop(self.sink.channels // STEP) as block, e.loop(self.sink.n) as n, e.loop(self.sink.h) as y:
                for first, count, pixels in split(self.sink.w, _PIXELS):
                    with e.loop(count) as index:
                        self._pixels(e, epilogue, block, (n, y, first + index * pixels), pixels)
        return e.function

    def _pixels(self, e: Emitter, epilogue: Requantizer, block: Expr, at: tuple[Expr, Expr, Expr], pixels: int) -> None:
        n, y, x = at
        taps = list(product(range(self.window.kh), range(self.window.kw)))
        weights = [
            e.let(e.load(e.args[1], block * (STEP * len(taps)) + i * STEP, lanes=STEP)) for i in range(len(taps))
        ]
        loaded: dict[tuple[int, int], Expr] = {}
        sums = []
        for p in range(pixels):
            values = [
                self._tap(e, loaded, (n, y, x), (ky, p * self.window.sx + kx * self.window.dx), block)
                for ky, kx in taps
            ]
            sums.append(self._sum(e, values, weights, block * STEP))
        epilogue.write(sums, [(n, y, x + p) for p in range(pixels)], block * STEP)

    def _tap(
        self,
        e: Emitter,
        loaded: dict[tuple[int, int], Expr],
        at: tuple[Expr, Expr, Expr],
        tap: tuple[int, int],
        block: Expr,
    ) -> Expr:
        """Return 16 channels under a tap; neighbouring pixels share them."""
        if tap not in loaded:
            (n, y, x), (ky, column), window, b = at, tap, self.window, self.source.border
            row = y * window.sy + ky * window.dy + b - window.top
            loaded[tap] = e.let(
                e.load(e.args[0], n, row, x * window.sx + column + b - window.left, block * STEP, lanes=STEP)
            )
        return loaded[tap]

    def _sum(self, e: Emitter, values: list[Expr], weights: list[Expr], channel: Expr) -> list[Expr]:
        """Return the sums of products over all taps, and the bias, as vectors of int32."""
        if not e.arm:
            total = e.load(e.args[2], channel, lanes=STEP)
            for value, weight in zip(values, weights, strict=True):
                total = e.let(total + e.T.Cast("int32x16", e.T.Cast("int16x16", value) * e.T.Cast("int16x16", weight)))
            return [total]
        sums = [e.load(e.args[2], channel + i * 4, lanes=4) for i in range(4)]
        pairs = [(halves(e, v, "int8x8"), halves(e, w, "int8x8")) for v, w in zip(values, weights, strict=True)]
        for i in range(0, len(pairs), 2):
            for half in range(2):
                products = [smull(e, v[half], w[half]) for v, w in pairs[i : i + 2]]
                shorts = e.let(products[0] + products[1] if len(products) == 2 else products[0])
                for quarter, part in enumerate(halves(e, shorts, "int16x4")):
                    sums[half * 2 + quarter] = e.let(sums[half * 2 + quarter] + e.T.Cast("int32x4", part))
        return sums
