"""int8 convolution by products of small matrices: `smmla` (Armv8.6 int8 matrix multiply).

One instruction multiplies eight bytes of two pixels with eight bytes of two channels, twice the work of `sdot`. Weights
are ordered `[16 channels][window row][column][8 bytes of a span][16 channels][8 bytes]`, so that one vector holds two
channels; two pixels are put together from vectors of sixteen of their bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from galen.backends.kernels.emit import Emitter, Expr
from galen.backends.kernels.int8_conv import STEP, split
from galen.backends.kernels.int8_dot import DotConv
from galen.backends.kernels.int8_span import Tile
from galen.backends.kernels.requantize import Requantizer
from galen.backends.kernels.simd import smmla

OCTET = 8
HALVES = STEP // OCTET

TILES = (6, 4)
"""Pixels that fill a register tile: of sixteen channels, six take all registers."""


@dataclass(frozen=True)
class MatrixConv(DotConv):
    """Convolution for ARM cores with int8 matrix multiply."""

    family: ClassVar[str] = "int8-matrix"
    depth: ClassVar[int] = OCTET

    @property
    def pixels(self) -> int:
        """Pixels of a row in a register tile: as many as leave few over."""
        return min(TILES, key=self._row_instructions)

    @property
    def row_instructions(self) -> int:
        """Instructions of one step of 16 bytes for a row of pixels and 16 channels."""
        return self._row_instructions(self.pixels)

    def _row_instructions(self, pixels: int) -> int:
        tiles = ((count, 2 * -(-size // 2)) for _, count, size in split(self.sink.w, pixels))
        return sum(count * (2 * size + STEP + size * STEP // 2) for count, size in tiles)

    def tile(self, e: Emitter, epilogue: Requantizer, channel: Expr, width: int) -> Tile:
        """Return the register tile."""
        return _MatrixTile(self, e, epilogue, channel, width)


class _MatrixTile:
    """Sums of two pixels and two channels per register: `[p0 c0, p0 c1, p1 c0, p1 c1]`."""

    def __init__(self, conv: MatrixConv, e: Emitter, epilogue: Requantizer, channel: Expr, width: int) -> None:
        self.conv, self.e, self.epilogue, self.channel = conv, e, epilogue, channel
        self.pairs = width // 2
        self.image, self.weights, self.bias = e.args[:3]
        self.first = conv.first(channel)
        self.pixels = conv.pixels

    def emit(self, n: Expr, y: Expr, x: Expr, pixels: int) -> None:
        """Emit initialisation with the bias, reduction and epilogue."""
        e = self.e
        rows = -(-pixels // 2)
        sums = [e.registers(self.pairs, 4, "int32") for _ in range(rows)]
        for c, r in product(range(self.pairs), range(rows)):
            sums[r][c].set(self._start(c))
        height, width, _ = self.conv.spans
        with e.loop(height) as row, e.loop(width) as column, e.loop(self.conv.steps) as step:
            spans = [self._span(n, *self.conv.address(y, x + p, row, column), step) for p in range(pixels)]
            joined = [self._join(spans[2 * r], spans[min(2 * r + 1, pixels - 1)]) for r in range(rows)]
            for half, c in product(range(HALVES), range(self.pairs)):
                weight = e.let(self._weight(c, row, column, step, half))
                for r in range(rows):
                    sums[r][c].set(smmla(e, sums[r][c].value, joined[r][half], weight))
        results = [vectors for pair in sums for vectors in self._apart([register.value for register in pair])]
        self.epilogue.write(results[:pixels], [(n, y, x + p) for p in range(pixels)], self.channel)

    def _start(self, c: int) -> Expr:
        """Return the biases of two channels, for two pixels."""
        e = self.e
        bias = e.load(self.bias, self.channel + 2 * c, lanes=2)
        return e.let(e.T.reinterpret("int32x4", e.splat(e.T.reinterpret("int64", bias), 2)))

    def _span(self, n: Expr, row: Expr, column: Expr, step: Expr) -> Expr:
        e = self.e
        return e.let(
            e.T.reinterpret("int64x2", e.load(self.image, n, row, column, self.first + step * STEP, lanes=STEP))
        )

    def _join(self, a: Expr, b: Expr) -> list[Expr]:
        """Return the lower and the upper eight bytes of two pixels."""
        e = self.e
        return [e.let(e.T.reinterpret("int8x16", self._shuffled([a, b], (half, 2 + half)))) for half in range(HALVES)]

    def _weight(self, c: int, row: Expr, column: Expr, step: Expr, half: int) -> Expr:
        """Load eight bytes of each of two channels."""
        height, width, _ = self.conv.spans
        start = self.channel * (height * width * self.conv.steps * STEP)
        octet = ((row * width + column) * self.conv.steps + step) * HALVES + half
        return self.e.load(self.weights, start + (octet * STEP + 2 * c) * OCTET, lanes=STEP)

    def _apart(self, sums: Sequence[Expr]) -> list[list[Expr]]:
        """Return the vectors of four channels of either pixel."""
        quads = list(zip(sums[::2], sums[1::2], strict=True))
        return [[self._shuffled(quad, places) for quad in quads] for places in ((0, 1, 4, 5), (2, 3, 6, 7))]

    def _shuffled(self, vectors: Sequence[Expr], places: Sequence[int]) -> Expr:
        return self.e.T.Shuffle(list(vectors), [self.e.T.int32(place) for place in places])
