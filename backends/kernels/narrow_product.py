"""Rows of fp32 times a matrix of few bits: for layers that are bound by reading their weights from memory.

`y = (x @ q) * scale + bias` with integers `q` of 8 or 4 bits that become fp32 in registers. They are ordered `[16
columns][k][16 columns]`; two of 4 bits share a byte, the first eight columns in its low half.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, Register, emit, pieces
from galen.backends.kernels.int8_conv import split
from galen.backends.kernels.simd import concat
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

WIDTH = 16
"""Columns that are computed together."""
_ROWS = 4
_STEP = 4


@dataclass(frozen=True)
class NarrowProduct(Kernel):
    """Product of rows `[1, 1, rows, k]` with a matrix `[k, columns]` of `bits` bits."""

    source: Image
    sink: Image
    bits: Literal[4, 8]
    family: ClassVar[str] = "narrow-weights"

    @property
    def args(self) -> tuple[Spec, ...]:
        """Rows, integers, scale float32 `[columns]`, bias float32 `[columns]`, result."""
        packed = Spec((self._columns * self.source.c * self.bits // 8,), "int8")
        vector = Spec((self._columns,), "float32")
        return self.source.spec, packed, vector, vector, self.sink.spec

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.source.w * self.source.c * self.sink.c

    @property
    def _columns(self) -> int:
        return -(-self.sink.c // WIDTH) * WIDTH

    def pack(self, integers: np.ndarray) -> np.ndarray:
        """Order int8 `[k, columns]` as the module says, flat."""
        padded = np.pad(integers, [(0, 0), (0, self._columns - self.sink.c)])
        blocks = padded.reshape(self.source.c, -1, WIDTH).transpose(1, 0, 2)
        if self.bits == 8:
            return blocks.ravel()
        low, high = blocks[..., : WIDTH // 2], blocks[..., WIDTH // 2 :]
        return ((low & 15) | (high << 4)).astype(np.int8).ravel()

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """Undo `pack`."""
        if self.bits == 4:
            halves = packed.reshape(-1, WIDTH // 2)
            packed = np.concatenate([(halves << 4).astype(np.int8) >> 4, halves >> 4], axis=1)
        blocks = packed.reshape(-1, self.source.c, WIDTH).transpose(1, 0, 2)
        return blocks.reshape(self.source.c, -1)[:, : self.sink.c]

    def pack_columns(self, values: np.ndarray) -> np.ndarray:
        """Extend a vector `[columns]` with zeros to whole blocks."""
        return np.pad(values.astype(np.float32), (0, self._columns - self.sink.c))

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Multiply in numpy."""
        rows, packed, scale, bias = inputs
        sums = rows[0, 0] @ self.unpack(packed).astype(np.float32)
        return [(sums * scale[: self.sink.c] + bias[: self.sink.c]).reshape(self.sink.spec.shape)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over blocks of columns and tiles of rows around one over `k`."""
        with emit(self.args, target) as e:
            whole, rest = divmod(self.sink.c, WIDTH)
            for first, count, stored in ((0, whole, WIDTH), (whole, 1, rest)):
                if not count or not stored:
                    continue
                with e.loop(count) as index:
                    for row, tiles, rows in split(self.source.w, min(_ROWS, self.source.w)):
                        with e.loop(tiles) as tile:
                            self._tile(e, first + index, (row + tile * rows, rows), stored)
        return e.function

    def _tile(self, e: Emitter, block: Expr, rows: tuple[Expr, int], stored: int) -> None:
        """Compute one block of columns, of which `stored` exist, for some rows."""
        first, count = rows
        sums = [e.registers(WIDTH // e.lanes, e.lanes) for _ in range(count)]
        for register in (r for row in sums for r in row):
            register.set(e.splat(0.0, e.lanes))
        whole, rest = divmod(self.source.c, _STEP)
        with e.loop(whole) as step:
            for k in range(_STEP if whole else 0):
                self._add(e, sums, (block, step * _STEP + k), first)
        for k in range(self.source.c - rest, self.source.c):
            self._add(e, sums, (block, k), first)
        self._store(e, sums, block, first, stored)

    def _add(self, e: Emitter, sums: list[list[Register]], at: tuple[Expr, Expr], first: Expr) -> None:
        block, k = at
        wide = e.let(e.T.Cast(f"int32x{WIDTH}", self._integers(e, (block * self.source.c + k) * WIDTH)))
        parts = [e.part(wide, start, e.lanes, WIDTH) for start in range(0, WIDTH, e.lanes)]
        factors = [e.let(e.T.Cast(f"float32x{e.lanes}", part)) for part in parts]
        for row, registers in enumerate(sums):
            x = e.splat(e.let(e.load(e.args[0], 0, 0, first + row, k)), e.lanes)
            for register, factor in zip(registers, factors, strict=True):
                register.set(register.value + factor * x)

    def _integers(self, e: Emitter, at: Expr) -> Expr:
        """Return 16 int8 from the position `at`, counted in integers."""
        if self.bits == 8:
            return e.load(e.args[1], at, lanes=WIDTH)
        pairs = e.let(e.load(e.args[1], at // 2, lanes=WIDTH // 2))
        four = e.T.broadcast(e.T.IntImm("int8", 4), WIDTH // 2)
        return concat(e, [(pairs << four) >> four, pairs >> four], WIDTH // 2)

    def _store(self, e: Emitter, sums: list[list[Register]], block: Expr, first: Expr, stored: int) -> None:
        for row, registers in enumerate(sums):
            for v, register in enumerate(registers):
                at = v * e.lanes
                scale, bias = (e.load(e.args[i], block * WIDTH + at, lanes=e.lanes) for i in (2, 3))
                value = e.let(register.value * scale + bias)
                for offset, lanes in pieces(max(0, min(stored - at, e.lanes)), e.lanes):
                    part = e.part(value, offset, lanes, e.lanes)
                    e.store(e.args[4], part, 0, 0, first + row, block * WIDTH + at + offset, lanes=lanes)
