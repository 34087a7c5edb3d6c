"""Exact integer Winograd convolution F(4x4, 3x3) for cores without int8 dot products (Lavin and Gray 2016).

The transforms of the published algorithm have fractions; here every row of G is multiplied by its denominator, which
makes all numbers integers: pixels and weights become int16 (at most 100 * 128 and 49 * 127), and the result is
576 = 2^6 * 9 times the sum wanted. int32 wraps, but 9 has an inverse modulo 2^32, so that after a multiplication by it
and a shift by 6 the sum is exact as long as it is below 2^25 in magnitude: `fits` says so for given weights.

A product of 16-bit numbers costs as much as one of fp32, a quarter of a vector instruction, so this needs half the
instructions of direct convolution in int8. Weights are ordered `[16 channels][36][ci][16 channels]`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.int8_conv import STEP, Int8Conv, split
from galen.backends.kernels.requantize import Requantizer
from galen.backends.kernels.simd import halves, smull16
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

SIDE, POINTS = 4, 6
G = np.array([[1, 0, 0], [-1, -1, -1], [-1, 1, -1], [1, 2, 4], [1, -2, 4], [0, 0, 1]], np.int64)
"""Weight transform, its rows multiplied by 4, -6, -6 (sign kept), 24, 24 and 1."""

_LIMIT = 2**25
_NINTH = 0x38E38E39
"""9 * _NINTH = 1 modulo 2^32."""

TILES = 4
"""Tiles of a register tile, times 16 channels."""


def fits(weights: np.ndarray) -> bool:
    """Return whether no sum of products with `weights` `[co, ci, 3, 3]` can leave the exact range."""
    return int(np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1).max(initial=0)) * 128 < _LIMIT


@dataclass(frozen=True)
class WinogradConv(Int8Conv):
    """3x3 convolution with stride 1 of images whose sides are multiples of four."""

    family: ClassVar[str] = "int8-winograd"
    weight_dtype: ClassVar[str] = "int16"

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Transform int8 `[co, ci, 3, 3]` and order them as the module says, flat."""
        padded = np.zeros((self.sink.channels, self.source.channels, 3, 3), np.int64)
        padded[: self.sink.c, : self.source.c] = weights
        points = np.einsum("ay,bx,oiyx->oabi", G, G, padded).reshape(-1, STEP, POINTS**2, self.source.channels)
        return np.asarray(points.transpose(0, 2, 3, 1), np.int16).ravel()

    def unpack_weights(self, packed: np.ndarray) -> np.ndarray:
        """Undo `pack_weights`."""
        points = packed.reshape(-1, POINTS, POINTS, self.source.channels, STEP).transpose(0, 4, 3, 1, 2)
        points = points.reshape(self.sink.channels, self.source.channels, POINTS, POINTS)
        rows = (points[:, :, 0], (points[:, :, 2] - points[:, :, 1]) // 2, points[:, :, 5])
        taps = [(row[..., 0], (row[..., 2] - row[..., 1]) // 2, row[..., 5]) for row in rows]
        weights = np.stack([np.stack(row, axis=-1) for row in taps], axis=-2)
        return weights[: self.sink.c, : self.source.c].astype(np.int8)

    def tir(self, target: Target) -> "PrimFunc":
        """Return the input transform of all tiles, then per block of channels and tiles products and inverse."""
        columns = self.sink.w // SIDE
        tiles = self.sink.n * (self.sink.h // SIDE) * columns
        with emit(self.args, target) as e:
            epilogue = Requantizer(e, self.sink, self.addend, e.args[3:], 4)
            clear_border(e, self.sink, e.args[-1], epilogue.border)
            points = e.workspace((POINTS**2, tiles, self.source.channels), "int16")
            products = e.workspace((POINTS**2, TILES, STEP), "int32")
            with e.loop(self.sink.n) as n, e.loop(self.sink.h // SIDE) as y, e.loop(columns) as x:
                tile = (n * (self.sink.h // SIDE) + y) * columns + x
                with e.loop(self.source.channels // 8) as c:
                    self._transform(e, points, tile, (n, y * SIDE, x * SIDE), c * 8)
            with e.loop(self.sink.channels // STEP) as block:
                for first, count, size in split(tiles, TILES):
                    with e.loop(count) as group:
                        start = first + group * size
                        with e.loop(POINTS**2) as point:
                            self._multiply(e, (points, products), (block, point, start), size)
                        with e.loop(size) as t, e.loop(STEP // 4) as v:
                            at = _position(start + t, self.sink.h // SIDE, columns)
                            sums = self._invert(e, products, (t, v * 4), block * STEP + v * 4)
                            _write(epilogue, sums, at, block * STEP + v * 4)
        return e.function

    def _transform(self, e: Emitter, points: Any, tile: Expr, at: tuple[Expr, Expr, Expr], channel: Expr) -> None:
        """Transform eight channels of a tile of 6x6 pixels."""
        n, y, x = at
        top, left = self.source.border - self.window.top, self.source.border - self.window.left
        pixels = [
            [
                e.let(e.T.Cast("int16x8", e.load(e.args[0], n, y + top + i, x + left + j, channel, lanes=8)))
                for j in range(POINTS)
            ]
            for i in range(POINTS)
        ]
        for (a, b), value in _both(e, pixels, _forward, "int16x8"):
            e.store(points, value, a * POINTS + b, tile, channel, lanes=8)

    def _multiply(self, e: Emitter, memory: tuple[Any, Any], at: tuple[Expr, Expr, Expr], tiles: int) -> None:
        """Sum the products of one point over all channels, for `tiles` tiles and 16 outputs."""
        points, products = memory
        block, point, start = at
        sums = [e.registers(STEP // 4, 4, "int32") for _ in range(tiles)]
        for register in (r for row in sums for r in row):
            register.set(e.splat(0, 4, "int32"))
        channels = self.source.channels
        base = (block * POINTS**2 + point) * (channels * STEP)
        with e.loop(channels // 8) as c:
            inputs = [e.let(e.load(points, point, start + t, c * 8, lanes=8)) for t in range(tiles)]
            for k, half in product(range(8), range(2)):
                weights = e.let(e.load(e.args[1], base + (c * 8 + k) * STEP + half * 8, lanes=8))
                quads = halves(e, weights, "int16x4")
                for t, i in product(range(tiles), range(2)):
                    register = sums[t][half * 2 + i]
                    register.set(register.value + smull16(e, quads[i], e.lane(inputs[t], k, 4)))
        for t, v in product(range(tiles), range(STEP // 4)):
            e.store(products, sums[t][v].value, point, t, v * 4, lanes=4)

    def _invert(
        self, e: Emitter, products: Any, source: tuple[Expr, Expr], channel: Expr
    ) -> dict[tuple[int, int], Expr]:
        """Transform four channels of a tile back, divide, add the bias."""
        tile, at = source
        values = [[e.load(products, i * POINTS + j, tile, at, lanes=4) for j in range(POINTS)] for i in range(POINTS)]
        bias = e.let(e.load(e.args[2], channel, lanes=4))
        ninth, shift = e.splat(e.T.int32(_NINTH), 4), e.splat(e.T.int32(6), 4)
        inverse = _both(e, values, _inverse, "int32x4")
        return {place: e.let(((value * ninth) >> shift) + bias) for place, value in inverse}


def _write(
    epilogue: Requantizer, sums: dict[tuple[int, int], Expr], tile: tuple[Expr, Expr, Expr], channel: Expr
) -> None:
    """Requantize and store the 4x4 pixels of a tile."""
    n, y, x = tile
    for i in range(SIDE):
        row = [(n, y * SIDE + i, x * SIDE + j) for j in range(SIDE)]
        epilogue.write([[sums[i, j]] for j in range(SIDE)], row, channel)


Transform = Callable[[Emitter, Sequence[Expr], str], list[Expr]]


def _both(
    e: Emitter, values: Sequence[Sequence[Expr]], along: Transform, dtype: str
) -> list[tuple[tuple[int, int], Expr]]:
    """Apply a transform to the columns, then to the rows, and return the elements with their places."""
    columns = [along(e, column, dtype) for column in zip(*values, strict=True)]
    rows = zip(*columns, strict=True)
    return [((i, j), value) for i, row in enumerate(rows) for j, value in enumerate(along(e, row, dtype))]


def _forward(e: Emitter, d: Sequence[Expr], dtype: str) -> list[Expr]:
    """Multiply by B^T."""
    two, four, five = (_constant(e, k, dtype) for k in (2, 4, 5))
    a, b = e.let(d[4] - four * d[2]), e.let(d[3] - four * d[1])
    c, f = e.let(d[4] - d[2]), e.let((d[3] - d[1]) * two)
    ends = (four * d[0] + d[4] - five * d[2], four * d[1] + d[5] - five * d[3])
    return [e.let(v) for v in (ends[0], a + b, a - b, c + f, c - f, ends[1])]


def _inverse(e: Emitter, m: Sequence[Expr], dtype: str) -> list[Expr]:
    """Multiply by A^T, its columns by 6, 4, 4, 1, 1, 24: what makes up for the rows of `G`, times 24."""
    k = {i: _constant(e, i, dtype) for i in (2, 4, 6, 8, 24)}
    p, q = e.let((m[1] + m[2]) * k[4]), e.let((m[1] - m[2]) * k[4])
    r, s = e.let(m[3] + m[4]), e.let(m[3] - m[4])
    results = (k[6] * m[0] + p + r, q + k[2] * s, p + k[4] * r, q + k[8] * s + k[24] * m[5])
    return [e.let(v) for v in results]


def _constant(e: Emitter, value: int, dtype: str) -> Expr:
    scalar, lanes = dtype.split("x")
    return e.T.broadcast(e.T.IntImm(scalar, value), int(lanes))


def _position(tile: Expr, rows: int, columns: int) -> tuple[Expr, Expr, Expr]:
    """Return image, row and column of a tile by its number."""
    return tile // (rows * columns), tile // columns % rows, tile % columns
