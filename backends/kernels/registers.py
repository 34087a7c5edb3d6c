"""Register tiles: `rows` x `width` results that stay in vector registers over a whole reduction.

Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008), section 4.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, product
from math import ceil
from typing import Any

from galen.backends.kernels.emit import Emitter, Expr, Register, vector_lanes
from galen.backends.target import Target

VECTOR = 4
"""Channels per vector of packed weights; cores with wider registers read several at once."""
UNROLLED = 2
"""Vectors of the reduction per iteration of its loop."""
SINGLE, PAIRED = 1.0, 0.5
"""Instructions that load a vector of inputs, per row: those of an image lie apart, packed ones beside each other."""


@dataclass(frozen=True)
class Tile:
    """`rows` (pixels, rows of a matrix) times `vectors` of `VECTOR` output channels."""

    rows: int
    vectors: int


@dataclass(frozen=True)
class Block:
    """Output channels that are computed together, of which `stored` exist in memory."""

    first: int
    width: int
    stored: int


def padded(channels: int) -> int:
    """Return `channels` rounded up to whole vectors."""
    return -(-channels // VECTOR) * VECTOR


def blocks(channels: int, stored: int, tile: Tile) -> list[Block]:
    """Cut the output channels, of which `stored` exist in memory, into blocks of the tile's width."""
    step, width = tile.vectors * VECTOR, padded(channels)
    return [Block(c, min(step, width - c), min(step, stored - c)) for c in range(0, width, step)]


def runs(parts: Sequence[Block]) -> list[list[Block]]:
    """Group neighbouring blocks of one form, so that one loop serves them."""
    return [list(run) for _, run in groupby(parts, lambda block: (block.width, block.stored))]


class RegisterTile:
    """Accumulators for `rows` x `width` results."""

    def __init__(self, e: Emitter, rows: int, width: int) -> None:
        self.e, self.rows = e, rows
        self.lanes = max(v for v in (1, 2, 4, 8, 16) if v <= e.lanes and width % v == 0)
        self.vectors = width // self.lanes
        self._registers = e.registers(rows * self.vectors, self.lanes)

    def __iter__(self) -> Iterator[tuple[int, int, Register]]:
        """Yield row, offset in the width, and accumulator."""
        places = product(range(self.rows), range(self.vectors))
        return ((p, v * self.lanes, r) for (p, v), r in zip(places, self._registers, strict=True))

    def set(self, value: Callable[[int], Expr]) -> None:
        """Initialise every row with `value(offset)`."""
        for _, offset, register in self:
            register.set(value(offset))

    def update(self, inputs: Sequence[Sequence[Expr]], weight: Callable[[int, int], Expr]) -> None:
        """Add `inputs[row][k] * weight(k, offset)` for all `k`."""
        for k in range(len(inputs[0])):
            for v in range(self.vectors):
                factor = self.e.let(weight(k, v * self.lanes))
                for row in range(self.rows):
                    register = self._registers[row * self.vectors + v]
                    register.set(register.value + inputs[row][k] * factor)

    def spread(self, buffer: Any, index: Sequence[Expr], count: int) -> list[Expr]:
        """Return `count` neighbours along the last axis of `buffer`, each in all lanes of a vector.

        ARM multiplies by a lane of a vector, so there a whole vector is loaded if the buffer's rows consist of such.
        """
        e, (*outer, c) = self.e, index
        if e.arm and (count == VECTOR or int(buffer.shape[-1]) % VECTOR == 0):
            vector = e.let(e.load(buffer, *outer, c, lanes=VECTOR))
            return [e.lane(vector, k, self.lanes) for k in range(count)]
        return self.scalars(buffer, index, count)

    def scalars(self, buffer: Any, index: Sequence[Expr], count: int) -> list[Expr]:
        """Return the same without reading beyond the `count` neighbours."""
        e, (*outer, c) = self.e, index
        scalars = [e.let(e.load(buffer, *outer, c + k)) for k in range(count)]
        return [e.splat(scalar, self.lanes) for scalar in scalars]


def reduction(e: Emitter, depth: int, step: Callable[[Expr, int], None]) -> None:
    """Emit `step(first, count)` for `depth` terms: `UNROLLED` vectors per iteration of a loop, then what is left."""
    whole, rest = divmod(depth, UNROLLED * VECTOR)
    if whole:
        with e.loop(whole) as k:
            for part in range(UNROLLED):
                step((k * UNROLLED + part) * VECTOR, VECTOR)
    for first in range(depth - rest, depth, VECTOR):
        step(first, min(VECTOR, depth - first))


def best_tile(channels: int, rows: int, target: Target, load: float = SINGLE) -> Tile:
    """Return the tile that needs the fewest instructions for `rows` rows of `channels` results; see `tile_cost`."""
    available = 32 if target.triple.startswith("aarch64") or target.has("avx512f") else 16
    available -= load < SINGLE  # where all are taken, LLVM spills what it loads in pairs
    return _best_tile(channels, rows, available, max(1, vector_lanes(target) // VECTOR), load)


@cache
def _best_tile(channels: int, rows: int, available: int, wide: int, load: float) -> Tile:
    """Return the same for a number of registers and vectors of `VECTOR` per register."""
    tiles = [Tile(p, v * wide) for v in range(1, 9) for p in range(1, 17) if _registers(p, v, load) <= available]
    return min(tiles, key=lambda tile: tile_cost(channels, rows, tile, load))


def _registers(rows: int, vectors: int, load: float) -> int:
    """Return how many registers a tile takes: accumulators, inputs and two weights."""
    return rows * vectors + round(ceil(rows * load) / load) + 2 + (vectors % 2 if load < SINGLE else 0)


def tile_cost(channels: int, rows: int, tile: Tile, load: float = SINGLE) -> float:
    """Return the instructions for `VECTOR` steps of the reduction over all results.

    Products, loads of inputs (`load` per row), of weights (two vectors per instruction), and two for the loop. What
    does not fill a tile is computed in a smaller one.
    """
    vectors = -(-channels // VECTOR)
    total = 0
    for width, columns in ((tile.vectors, vectors // tile.vectors), (vectors % tile.vectors, 1)):
        for pixels, times in ((tile.rows, rows // tile.rows), (rows % tile.rows, 1)):
            if width and pixels:
                total += columns * times * (4 * width * pixels + ceil(pixels * load) + 2 * width + 2)
    return total
