"""int8 convolution by dot products of four: `sdot` (Armv8.2 dot product), `vpdpbusd` (AVX-512 VNNI).

Weights are ordered `[16 channels][window row][column][4 bytes of a span][16 channels][4 bytes]`, so that one vector
holds four bytes of each of its channels; four bytes of a pixel are broadcast against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from galen.backends.kernels.emit import Emitter, Expr
from galen.backends.kernels.int8_conv import STEP
from galen.backends.kernels.int8_span import SpanConv, Tile
from galen.backends.kernels.requantize import Requantizer
from galen.backends.kernels.simd import sdot, vpdpbusd

QUAD = 4


@dataclass(frozen=True)
class DotConv(SpanConv):
    """Convolution for cores with int8 dot products."""

    family: ClassVar[str] = "int8-dot"
    depth: ClassVar[int] = QUAD
    """Neighbouring bytes of a channel's weights."""

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order int8 `[co, ci, kh, kw]` as the module says, flat."""
        rows, columns, _ = self.spans
        spans = self.pack_spans(weights).reshape(-1, STEP, rows, columns, self.steps * STEP // self.depth, self.depth)
        return spans.transpose(0, 2, 3, 4, 1, 5).ravel()

    def unpack_weights(self, packed: np.ndarray) -> np.ndarray:
        """Undo `pack_weights`."""
        rows, columns, _ = self.spans
        shape = -1, rows, columns, self.steps * STEP // self.depth, STEP, self.depth
        spans = packed.reshape(shape).transpose(0, 4, 1, 2, 3, 5)
        return self.unpack_spans(spans.reshape(self.sink.channels, rows, columns, -1))

    def width(self, e: Emitter) -> int:
        """Return 16, or 64 where a vector holds 16 sums."""
        return STEP if e.arm else 4 * STEP

    def lanes(self, e: Emitter) -> int:
        """Return 4 or 16."""
        return 4 if e.arm else 16

    def tile(self, e: Emitter, epilogue: Requantizer, channel: Expr, width: int) -> Tile:
        """Return the register tile of the target."""
        return (_SdotTile if e.arm else _VnniTile)(self, e, epilogue, channel, width)


class _DotTile:
    """What both instruction sets share: `vectors` of `lanes` channels against broadcast bytes."""

    pixels = 4
    lanes = 4

    def __init__(self, conv: DotConv, e: Emitter, epilogue: Requantizer, channel: Expr, width: int) -> None:
        self.conv, self.e, self.epilogue, self.channel = conv, e, epilogue, channel
        self.vectors = width // self.lanes
        self.image, self.weights, self.bias = e.args[:3]
        self.first = conv.first(channel)
        self.pixels = min(self.pixels, conv.sink.w)

    def emit(self, n: Expr, y: Expr, x: Expr, pixels: int) -> None:
        """Emit initialisation with the bias, reduction and epilogue."""
        e = self.e
        sums = [e.registers(self.vectors, self.lanes, "int32") for _ in range(pixels)]
        for v in range(self.vectors):
            start = self.start(v)
            for p in range(pixels):
                sums[p][v].set(start)
        rows, columns, _ = self.conv.spans
        with e.loop(rows) as row, e.loop(columns) as column, e.loop(self.conv.steps) as step:
            at = [self.conv.address(y, x + p, row, column) for p in range(pixels)]
            quads = [self.quads(n, *at[p], step) for p in range(pixels)]
            for q, v in product(range(STEP // QUAD), range(self.vectors)):
                weight = e.let(self.weight(v, row, column, step, q))
                for p in range(pixels):
                    sums[p][v].set(self.dot(sums[p][v].value, weight, quads[p][q]))
        results = [[sum_.value for sum_ in pixel] for pixel in sums]
        self.epilogue.write(results, [(n, y, x + p) for p in range(pixels)], self.channel)

    def weight(self, v: int, row: Expr, column: Expr, step: Expr, q: int) -> Expr:
        """Load four bytes for each of the channels of vector `v`."""
        rows, columns, _ = self.conv.spans
        block, rest = divmod(v * self.lanes, STEP)
        reduction = ((row * columns + column) * self.conv.steps + step) * STEP
        base = (self.channel + block * STEP) * (rows * columns * self.conv.steps * STEP) + (reduction + q * QUAD) * STEP
        return self.e.load(self.weights, base + rest * QUAD, lanes=QUAD * self.lanes)

    def start(self, v: int) -> Expr:
        """Return what the sums of vector `v` begin with."""
        return self.e.let(self.e.load(self.bias, self.channel + v * self.lanes, lanes=self.lanes))

    def quads(self, n: Expr, row: Expr, column: Expr, step: Expr) -> Sequence[Expr]:
        """Return four vectors, each with four neighbouring bytes of a span in all lanes."""
        raise NotImplementedError

    def dot(self, total: Expr, weight: Expr, quad: Expr) -> Expr:
        """Add the products of four bytes to every lane."""
        raise NotImplementedError


class _SdotTile(_DotTile):
    def quads(self, n: Expr, row: Expr, column: Expr, step: Expr) -> Sequence[Expr]:
        e = self.e
        words = e.let(
            e.T.reinterpret("int32x4", e.load(self.image, n, row, column, self.first + step * STEP, lanes=STEP))
        )
        return [e.T.reinterpret("int8x16", e.lane(words, q, 4)) for q in range(4)]

    def dot(self, total: Expr, weight: Expr, quad: Expr) -> Expr:
        return sdot(self.e, total, weight, quad)


class _VnniTile(_DotTile):
    """`vpdpbusd` wants unsigned pixels: 128 is added to them, and its product with the weights taken off the bias."""

    pixels = 6
    lanes = 16

    def __init__(self, conv: DotConv, e: Emitter, epilogue: Requantizer, channel: Expr, width: int) -> None:
        super().__init__(conv, e, epilogue, channel, width)
        self.starts = e.registers(self.vectors, self.lanes, "int32")
        self._correct()

    def _correct(self) -> None:
        e = self.e
        rows, columns, _ = self.conv.spans
        for register in self.starts:
            register.set(e.splat(0, 16, "int32"))
        with e.loop(rows) as row, e.loop(columns) as column, e.loop(self.conv.steps) as step:
            for q, (v, register) in product(range(STEP // QUAD), enumerate(self.starts)):
                weight = self.weight(v, row, column, step, q)
                register.set(self.dot(register.value, weight, self._broadcast(e.T.int32(-0x7F7F7F80))))
        for v, register in enumerate(self.starts):
            bias = e.load(self.bias, self.channel + v * self.lanes, lanes=self.lanes)
            register.set(bias - register.value)

    def start(self, v: int) -> Expr:
        return self.starts[v].value

    def quads(self, n: Expr, row: Expr, column: Expr, step: Expr) -> Sequence[Expr]:
        e = self.e
        flip = e.T.int32(-0x7F7F7F80)
        words = [e.load(self.image, n, row, column, self.first + step * STEP + q * QUAD, lanes=QUAD) for q in range(4)]
        return [self._broadcast(e.T.reinterpret("int32", word) ^ flip) for word in words]

    def dot(self, total: Expr, weight: Expr, quad: Expr) -> Expr:
        return vpdpbusd(self.e, total, quad, weight)

    def _broadcast(self, word: Expr) -> Expr:
        return self.e.T.reinterpret("int8x64", self.e.T.broadcast(word, 16))
