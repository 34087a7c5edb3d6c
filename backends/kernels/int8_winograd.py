"""Exact integer Winograd convolution F(4x4, 3x3) for cores without int8 dot products (Lavin and Gray 2016).

The transforms of the published algorithm have fractions; here the rows of G are multiplied by integers, which makes all
numbers integers: pixels and weights become int16 (at most 100 * 128 and 192 * 127), and the result is 576 = 2^6 * 9
times the sum wanted. int32 wraps, but 9 has an inverse modulo 2^32, so that after a multiplication by it and a shift by
6 the sum is exact as long as it is below 2^25 in magnitude: `fits` says so for given weights.

A product of 16-bit numbers costs as much as one of fp32, a quarter of a vector instruction, so this needs half the
instructions of direct convolution in int8. Channels that only pad the images are left out. Weights are ordered `[blocks
of up to 16 channels][36][ci][channels of the block]`. Where a side is no multiple of four the last tile begins earlier
and computes some pixels again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, Register, emit
from galen.backends.kernels.int8_conv import Int8Conv, clear_padding, split
from galen.backends.kernels.int8_transforms import G_ALONG, G_DOWN, POINTS, SIDE, along, constant, down, forward
from galen.backends.kernels.requantize import Requantizer
from galen.backends.kernels.simd import halves, smull16
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

_LIMIT = 2**25

_GROUP = 8
"""Channels of a vector of int16."""
_UNROLLED = 16
"""Channels up to which the sum over them is one piece of code."""
_BAND = 20 << 10
_SMALL = 24 << 10
"""Bytes of transformed pixels that are kept at a time where all weights, at most `_SMALL`, stay in the first cache."""


def fits(weights: np.ndarray) -> bool:
    """Return whether no sum of products with `weights` `[co, ci, 3, 3]` can leave the exact range."""
    return int(np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1).max(initial=0)) * 128 < _LIMIT


@dataclass(frozen=True)
class Block:
    """Neighbouring output channels that are computed together: `vectors` of four from channel `first`."""

    first: int
    vectors: int

    @property
    def width(self) -> int:
        """Channels."""
        return 4 * self.vectors

    @property
    def tiles(self) -> int:
        """Tiles whose sums fill the registers."""
        return min(16 // self.vectors, 8)


def blocks(channels: int) -> list[Block]:
    """Cut channels into blocks of up to four vectors, as even as can be, the wider ones first."""
    vectors = -(-channels // 4)
    count = -(-vectors // 4)
    sizes = [vectors // count + (i < vectors % count) for i in range(count)]
    return [Block(4 * sum(sizes[:i]), size) for i, size in enumerate(sizes)]


@dataclass(frozen=True)
class WinogradConv(Int8Conv):
    """3x3 convolution with stride 1 of images of at least 4x4 pixels."""

    family: ClassVar[str] = "int8-winograd"
    weight_dtype: ClassVar[str] = "int16"

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Transform int8 `[co, ci, 3, 3]` and order them as the module says, flat."""
        padded = np.pad(weights, [(0, -self.sink.c % 4), (0, 0), (0, 0), (0, 0)]).astype(np.int64)
        points = np.einsum("ay,bx,oiyx->abio", G_DOWN, G_ALONG, padded).astype(np.int16)
        points = points.reshape(POINTS**2, self.source.c, -1)
        return np.concatenate([points[..., b.first : b.first + b.width].ravel() for b in blocks(self.sink.c)])

    def unpack_weights(self, packed: np.ndarray) -> np.ndarray:
        """Undo `pack_weights`."""
        rows, ci = POINTS**2 * self.source.c, self.source.c
        parts = [packed[b.first * rows : (b.first + b.width) * rows].reshape(rows, -1) for b in blocks(self.sink.c)]
        points = np.concatenate(parts, axis=1).reshape(POINTS, POINTS, ci, -1).astype(np.int64)
        down = np.stack([points[0] // 6, (points[2] - points[1]) // 8, points[5] // 24])
        along = np.stack([down[:, 0] // 6, (down[:, 2] - down[:, 1]) // 4, down[:, 5] // 8], axis=1)
        return along.transpose(3, 2, 0, 1)[: self.sink.c].astype(np.int8)

    @property
    def grid(self) -> tuple[int, int, int]:
        """Images, rows and columns of tiles."""
        return self.sink.n, -(-self.sink.h // SIDE), -(-self.sink.w // SIDE)

    @property
    def band(self) -> int:
        """Tiles that are transformed at a time."""
        tiles = int(np.prod(self.grid))
        if 2 * POINTS**2 * self.source.c * self.sink.c > _SMALL:
            return tiles
        held = _BAND // (2 * POINTS**2 * -(-self.source.c // _GROUP) * _GROUP)
        step = blocks(self.sink.c)[0].tiles
        return min(tiles, max(held // step, 1) * step)

    def tir(self, target: Target) -> "PrimFunc":
        """Return per band of tiles the input transform, then per block of channels products and inverse."""
        with emit(self.args, target) as e:
            epilogue = Requantizer(e, self.sink, self.addend, e.args[3:], 4)
            clear_border(e, self.sink, e.args[-1], epilogue.border)
            clear_padding(e, self.sink, e.args[-1], epilogue.border, -(-self.sink.c // 4) * 4)
            widest = max(b.width * b.tiles for b in blocks(self.sink.c))
            memory = _Memory(
                e.workspace((POINTS**2, self.band, -(-self.source.c // _GROUP) * _GROUP), "int16"),
                e.workspace((POINTS**2, widest), "int32"),
            )
            for first, count, size in split(int(np.prod(self.grid)), self.band):
                with e.loop(count) as index:
                    self._band(e, epilogue, memory, first + index * size, size)
        return e.function

    def _band(self, e: Emitter, epilogue: Requantizer, memory: "_Memory", start: Expr, tiles: int) -> None:
        with e.loop(tiles) as t, e.loop(-(-self.source.c // _GROUP)) as c:
            self._transform(e, memory.points, t, self._origin(e, start + t), c * _GROUP)
        parts = blocks(self.sink.c)
        for vectors in dict.fromkeys(b.vectors for b in parts):
            alike = [b for b in parts if b.vectors == vectors]
            with e.loop(len(alike)) as index:
                channel = alike[0].first + index * alike[0].width
                for first, count, size in split(tiles, min(alike[0].tiles, tiles)):
                    with e.loop(count) as group:
                        self._group(e, epilogue, memory, (channel, vectors), (start, first + group * size, size))

    def _group(
        self,
        e: Emitter,
        epilogue: Requantizer,
        memory: "_Memory",
        block: tuple[Expr, int],
        tiles: tuple[Expr, Expr, int],
    ) -> None:
        """Compute `vectors` of four channels from `channel`, for `size` tiles from `first` of the band at `start`."""
        (channel, vectors), (start, first, size) = block, tiles
        with e.loop(POINTS**2) as point:
            base = (channel * POINTS**2 + point * (4 * vectors)) * self.source.c
            sums = self._multiply(e, memory.points, (point, first, base), size, vectors)
            for t, v in product(range(size), range(vectors)):
                e.store(memory.products, sums[t][v].value, point, (t * vectors + v) * 4, lanes=4)
        with e.loop(size) as t, e.loop(vectors) as v:
            at = self._origin(e, start + first + t)
            self._invert(e, epilogue, memory.products, (t * vectors + v) * 4, (at, channel + v * 4))

    def _origin(self, e: Emitter, tile: Expr) -> tuple[Expr, Expr, Expr]:
        """Return image, row and column of the first pixel of a tile by its number."""
        _, rows, columns = self.grid
        y, x = tile // columns % rows * SIDE, tile % columns * SIDE
        y = y if self.sink.h % SIDE == 0 else e.T.min(y, self.sink.h - SIDE)
        x = x if self.sink.w % SIDE == 0 else e.T.min(x, self.sink.w - SIDE)
        return tile // (rows * columns), y, x

    def _transform(self, e: Emitter, points: Any, tile: Expr, at: tuple[Expr, Expr, Expr], channel: Expr) -> None:
        """Transform eight channels of a tile of 6x6 pixels."""
        n, y, x = at
        top, left = self.source.border - self.window.top, self.source.border - self.window.left
        pixels = [
            [
                e.let(e.T.Cast("int16x8", e.load(e.args[0], n, y + top + i, x + left + j, channel, lanes=_GROUP)))
                for j in range(POINTS)
            ]
            for i in range(POINTS)
        ]
        columns = [forward(e, column) for column in zip(*pixels, strict=True)]
        for i, row in enumerate(zip(*columns, strict=True)):
            for j, value in enumerate(forward(e, row)):
                e.store(points, value, i * POINTS + j, tile, channel, lanes=_GROUP)

    def _multiply(
        self, e: Emitter, points: Any, at: tuple[Expr, Expr, Expr], tiles: int, vectors: int
    ) -> list[list[Register]]:
        """Sum the products of one point over all channels."""
        point, first, base = at
        sums = [e.registers(vectors, 4, "int32") for _ in range(tiles)]
        whole, rest = divmod(self.source.c, _GROUP)

        def step(c: Expr, channels: int, *, fresh: bool) -> None:
            inputs = [e.let(e.load(points, point, first + t, c * _GROUP, lanes=_GROUP)) for t in range(tiles)]
            for k in range(channels):
                weights = self._weights(e, base + (c * _GROUP + k) * (4 * vectors), vectors)
                for t, (v, weight) in product(range(tiles), enumerate(weights)):
                    value = smull16(e, weight, e.lane(inputs[t], k, 4))
                    sums[t][v].set(value if fresh and k == 0 else sums[t][v].value + value)

        if self.source.c <= _UNROLLED:
            for c in range(whole + (rest > 0)):
                step(c, _GROUP if c < whole else rest, fresh=c == 0)
            return sums
        for register in (r for row in sums for r in row):
            register.set(e.splat(0, 4, "int32"))
        with e.loop(whole) as c:
            step(c, _GROUP, fresh=False)
        if rest:
            step(whole, rest, fresh=False)
        return sums

    def _weights(self, e: Emitter, at: Expr, vectors: int) -> Iterator[Expr]:
        """Yield the weights of one input channel, four int16 at a time."""
        for pair in range(0, vectors - 1, 2):
            yield from halves(e, e.let(e.load(e.args[1], at + pair * 4, lanes=8)), "int16x4")
        if vectors % 2:
            yield e.let(e.load(e.args[1], at + (vectors - 1) * 4, lanes=4))

    def _invert(
        self,
        e: Emitter,
        epilogue: Requantizer,
        products: Any,
        source: Expr,
        sink: tuple[tuple[Expr, Expr, Expr], Expr],
    ) -> None:
        """Transform four channels of a tile back, divide, add the bias, requantize and store."""
        (n, y, x), channel = sink
        values = [[e.load(products, i * POINTS + j, source, lanes=4) for j in range(POINTS)] for i in range(POINTS)]
        columns = [down(e, column) for column in zip(*values, strict=True)]
        bias = e.let(e.load(e.args[2], channel, lanes=4))
        for i, row in enumerate(zip(*columns, strict=True)):
            sums = [e.let((value >> constant(e, 6, "int32x4")) + bias) for value in along(e, row)]
            epilogue.write([[value] for value in sums], [(n, y + i, x + j) for j in range(SIDE)], channel)


@dataclass(frozen=True)
class _Memory:
    """Scratch memory: transformed pixels `[36, tiles, ci]`, products `[36, tiles of a group and their channels]`."""

    points: Any
    products: Any
