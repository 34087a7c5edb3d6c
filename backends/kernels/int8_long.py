"""int8 convolution without dot products: products of two pairs are summed in int16, then widened.

Sixteen bytes of a span are multiplied with those of one output channel, two products are summed in every lane of int16
(`smull`, `smlal`: weights are at least -127), which `sadalp` adds to int32; the lanes of a sum are added at the end.

Weights are ordered `[4 channels][window row][column][16 bytes of a span][4 channels][16 bytes]`.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from galen.backends.kernels.emit import Emitter, Expr
from galen.backends.kernels.int8_conv import STEP
from galen.backends.kernels.int8_span import SpanConv, Tile, reduce
from galen.backends.kernels.requantize import Requantizer
from galen.backends.kernels.simd import halves, intrinsic, saddlp, smull, transposed_sum

CHANNELS = 4


@dataclass(frozen=True)
class LongConv(SpanConv):
    """Convolution by widening multiplication."""

    family: ClassVar[str] = "int8-long"

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order int8 `[co, ci, kh, kw]` as the module says, flat."""
        rows, columns, _ = self.spans
        spans = self.pack_spans(weights).reshape(-1, CHANNELS, rows, columns, self.steps, STEP)
        return spans.transpose(0, 2, 3, 4, 1, 5).ravel()

    def unpack_weights(self, packed: np.ndarray) -> np.ndarray:
        """Undo `pack_weights`."""
        rows, columns, _ = self.spans
        spans = packed.reshape(-1, rows, columns, self.steps, CHANNELS, STEP).transpose(0, 4, 1, 2, 3, 5)
        return self.unpack_spans(spans.reshape(self.sink.channels, rows, columns, -1))

    def width(self, e: Emitter) -> int:  # noqa: ARG002
        """Return four."""
        return CHANNELS

    def tile(self, e: Emitter, epilogue: Requantizer, channel: Expr, width: int) -> Tile:  # noqa: ARG002
        """Return the register tile of the target."""
        return _LongTile(self, e, epilogue, channel)


class _LongTile:
    """Four pixels times four channels: 16 sums of four lanes."""

    pixels = 4

    def __init__(self, conv: LongConv, e: Emitter, epilogue: Requantizer, channel: Expr) -> None:
        self.conv, self.e, self.epilogue, self.channel = conv, e, epilogue, channel
        self.image, self.weights, self.bias = e.args[:3]
        self.first = conv.first(channel)

    def emit(self, n: Expr, y: Expr, x: Expr, pixels: int) -> None:
        """Emit reduction, addition of lanes and epilogue."""
        e = self.e
        sums = [e.registers(CHANNELS, 4 if e.arm else 8, "int32") for _ in range(pixels)]
        for pixel in sums:
            for register in pixel:
                register.set(e.splat(0, 4 if e.arm else 8, "int32"))
        rows, columns, _ = self.conv.spans

        def step(row: Expr, column: Expr, step: Expr) -> None:
            values = [self._pixel(n, *self.conv.address(y, x + p, row, column), step) for p in range(pixels)]
            for c in range(CHANNELS):
                weight = self._weight(c, row, column, step)
                for p in range(pixels):
                    sums[p][c].set(sums[p][c].value + self._products(values[p], weight))

        reduce(e, (rows, columns, self.conv.steps), step)
        bias = e.load(self.bias, self.channel, lanes=CHANNELS)
        results = [[self._total([register.value for register in pixel]) + bias] for pixel in sums]
        self.epilogue.write(results, [(n, y, x + p) for p in range(pixels)], self.channel)

    def _pixel(self, n: Expr, row: Expr, column: Expr, step: Expr) -> Expr:
        return self._extend(self.e.load(self.image, n, row, column, self.first + step * STEP, lanes=STEP))

    def _weight(self, c: int, row: Expr, column: Expr, step: Expr) -> Expr:
        rows, columns, _ = self.conv.spans
        base = self.channel * (rows * columns * self.conv.steps * STEP)
        at = ((row * columns + column) * self.conv.steps + step) * (STEP * CHANNELS) + c * STEP
        return self._extend(self.e.load(self.weights, base + at, lanes=STEP))

    def _extend(self, vector: Expr) -> Expr:
        """Prepare an operand: two halves for `smull`, int16 elsewhere."""
        e = self.e
        return halves(e, e.let(vector), "int8x8") if e.arm else e.let(e.T.Cast("int16x16", vector))

    def _products(self, pixel: Expr, weight: Expr) -> Expr:
        e = self.e
        if e.arm:
            return saddlp(e, smull(e, pixel[0], weight[0]) + smull(e, pixel[1], weight[1]))
        if e.target.has("avx2"):
            return intrinsic(e, "int32x8", "llvm.x86.avx2.pmadd.wd", pixel, weight)
        wide = [e.T.Cast("int32x16", v) for v in (pixel, weight)]
        product = e.let(wide[0] * wide[1])
        return e.part(product, 0, 8, 16) + e.part(product, 8, 8, 16)

    def _total(self, sums: list[Expr]) -> Expr:
        e = self.e
        if e.arm:
            return transposed_sum(e, sums)
        scalars = [intrinsic(e, "int32", "llvm.vector.reduce.add", total) for total in sums]
        return e.T.Shuffle(scalars, [e.T.int32(i) for i in range(CHANNELS)])
