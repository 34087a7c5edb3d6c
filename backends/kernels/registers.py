"""Register tiles: `rows` x `width` results that stay in vector registers over a whole reduction.

Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008), section 4.

In fp16 every addition rounds to 11 bits, and the error of a sum grows with its length: relative to the spread of the
results of a random layer to 0.0025 over 3x3x64 products and 0.0075 over 3x3x512 (root of the mean square). So sums of
more than `LONGEST` products are made of parts that long, added in fp32: the error is 0.0013 however long they are.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from math import ceil
from typing import Any

import numpy as np

from galen.backends.kernels.emit import Emitter, Expr, vector_lanes
from galen.backends.target import Target

VECTOR = 4
"""Channels per vector of packed fp32 weights; cores with wider registers read several at once."""
LONGEST = 144
"""Products that are added in fp16: nine taps of 16 channels."""
UNROLLED = 2
"""Vectors of the reduction per iteration of its loop."""
SHORT, SPARE = 4, 4
"""Where that loop has fewer iterations, LLVM keeps inputs of several in registers: leave it that many."""
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


def vector(dtype: str) -> int:
    """Return the channels per vector of packed weights of a type: 4 in fp32, 8 in fp16."""
    return VECTOR * 4 // np.dtype(dtype).itemsize


def padded(channels: int, unit: int = VECTOR) -> int:
    """Return `channels` rounded up to whole vectors of `unit`."""
    return -(-channels // unit) * unit


def blocks(channels: int, stored: int, tile: Tile, unit: int = VECTOR) -> list[Block]:
    """Cut the output channels, of which `stored` exist in memory, into blocks of the tile's width."""
    step, width = tile.vectors * unit, padded(channels, unit)
    return [Block(c, min(step, width - c), min(step, stored - c)) for c in range(0, width, step)]


def runs(parts: Sequence[Block]) -> list[list[Block]]:
    """Group neighbouring blocks of one form, so that one loop serves them."""
    return [list(run) for _, run in groupby(parts, lambda block: (block.width, block.stored))]


class RegisterTile:
    """Accumulators for `rows` x `width` results, each the sum of `depth` products."""

    def __init__(self, e: Emitter, rows: int, width: int, depth: int, dtype: str = "float32") -> None:
        self.e, self.rows, self.dtype = e, rows, dtype
        self.lanes = max(v for v in (1, 2, 4, 8, 16) if v <= e.lanes_of(dtype) and width % v == 0)
        self.vectors = width // self.lanes
        self._unit = vector(dtype)
        self._registers = e.registers(rows * self.vectors, self.lanes, dtype)
        in_parts = dtype == "float16" and depth > LONGEST
        self._totals = e.registers(rows * self.vectors, self.lanes) if in_parts else self._registers
        self._in_part = not in_parts

    def __iter__(self) -> Iterator[tuple[int, int, Expr]]:
        """Yield row, offset in the width, and result."""
        for place, total in enumerate(self._totals):
            row, v = divmod(place, self.vectors)
            yield row, v * self.lanes, self.e.cast(total.value, self.dtype, self.lanes)

    def set(self, value: Callable[[int], Expr]) -> None:
        """Initialise every row with `value(offset)`."""
        for place, total in enumerate(self._totals):
            initial = value(place % self.vectors * self.lanes)
            total.set(initial if self._totals is self._registers else self.e.cast(initial, "float32", self.lanes))

    @contextmanager
    def part(self, depth: int) -> Iterator[None]:
        """Add what is emitted inside, `depth` products per result, as one part: the outermost that is short enough."""
        if self._in_part or depth > LONGEST:
            yield
            return
        self._in_part = True
        for register in self._registers:
            register.set(self.e.splat(0.0, self.lanes, self.dtype))
        yield
        for register, total in zip(self._registers, self._totals, strict=True):
            total.set(total.value + self.e.cast(register.value, "float32", self.lanes))
        self._in_part = False

    def reduce(self, depth: int, step: Callable[[Expr, int], None]) -> None:
        """Emit `step(first, count)` for `depth` products."""
        if self._in_part or depth <= LONGEST:
            with self.part(depth):
                self._steps(0, depth, step)
            return
        whole, rest = divmod(depth, LONGEST)
        with self.e.loop(whole) as k, self.part(LONGEST):
            self._steps(k * LONGEST, LONGEST, step)
        if rest:
            with self.part(rest):
                self._steps(whole * LONGEST, rest, step)

    def _steps(self, start: Expr, depth: int, step: Callable[[Expr, int], None]) -> None:
        """Emit `UNROLLED` vectors per iteration of a loop, then what is left."""
        whole, rest = divmod(depth, UNROLLED * self._unit)
        if whole:
            with self.e.loop(whole) as k:
                for part in range(UNROLLED):
                    step(start + (k * UNROLLED + part) * self._unit, self._unit)
        for first in range(depth - rest, depth, self._unit):
            step(start + first, min(self._unit, depth - first))

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
        if e.arm and (count == self._unit or int(buffer.shape[-1]) % self._unit == 0):
            neighbours = e.let(e.load(buffer, *outer, c, lanes=self._unit))
            return [e.lane(neighbours, k, self.lanes) for k in range(count)]
        return self.scalars(buffer, index, count)

    def scalars(self, buffer: Any, index: Sequence[Expr], count: int) -> list[Expr]:
        """Return the same without reading beyond the `count` neighbours."""
        e, (*outer, c) = self.e, index
        scalars = [e.let(e.load(buffer, *outer, c + k)) for k in range(count)]
        return [e.splat(scalar, self.lanes) for scalar in scalars]


def best_tile(
    channels: int, rows: int, target: Target, *, load: float = SINGLE, unit: int = VECTOR, depth: int | None = None
) -> Tile:
    """Return the tile that needs the fewest instructions for `rows` rows of `channels` results; see `tile_cost`.

    `depth` is the length of the innermost loop's reduction, None: long.
    """
    available = 32 if target.triple.startswith("aarch64") or target.has("avx512f") else 16
    available -= load < SINGLE  # where all are taken, LLVM spills what it loads in pairs
    if depth is not None and depth < SHORT * UNROLLED * unit:
        available -= SPARE
    return _best_tile(channels, rows, available, max(1, vector_lanes(target) // VECTOR), load=load, unit=unit)


@cache
def _best_tile(channels: int, rows: int, available: int, wide: int, *, load: float, unit: int) -> Tile:
    """Return the same for a number of registers and of vectors of `VECTOR` fp32 numbers in each."""
    tiles = [Tile(p, v * wide) for v in range(1, 9) for p in range(1, 17) if _registers(p, v, load) <= available]
    return min(tiles, key=lambda tile: tile_cost(channels, rows, tile, load, unit))


def _registers(rows: int, vectors: int, load: float) -> int:
    """Return how many registers a tile takes: accumulators, inputs and two weights."""
    return rows * vectors + round(ceil(rows * load) / load) + 2 + (vectors % 2 if load < SINGLE else 0)


def tile_cost(channels: int, rows: int, tile: Tile, load: float = SINGLE, unit: int = VECTOR) -> float:
    """Return the instructions for `unit` steps of the reduction over all results, `unit` of which fill a vector.

    Products, loads of inputs (`load` per row), of weights (two vectors per instruction), and two for the loop. What
    does not fill a tile is computed in a smaller one.
    """
    vectors = -(-channels // unit)
    total = 0
    for width, columns in ((tile.vectors, vectors // tile.vectors), (vectors % tile.vectors, 1)):
        for pixels, times in ((tile.rows, rows // tile.rows), (rows % tile.rows, 1)):
            if width and pixels:
                total += columns * times * (unit * width * pixels + ceil(pixels * load) + unit * width // 2 + 2)
    return total
