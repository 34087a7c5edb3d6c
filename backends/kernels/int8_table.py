"""Any function of one int8 number: a table of 256 (`tbl`, `tbx`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.requantize import LIMITS
from galen.backends.kernels.simd import intrinsic
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

VECTOR = 16


@dataclass(frozen=True)
class Int8Table(Kernel):
    """`y = table[x + 128]`. Arguments: image, table int8 `[256]`, limits (whose zero point fills the border), sink."""

    source: Image
    sink: Image
    family: ClassVar[str] = "int8-table"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, table, limits, sink."""
        return self.source.spec, Spec((256,), "int8"), LIMITS, self.sink.spec

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Look up."""
        image, table, limits = inputs
        return [self.sink.place(table[self.source.interior(image).astype(np.int32) + 128], limits[0])]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels and vectors of channels, elsewhere than on ARM over channels."""
        source, sink = self.source, self.sink
        with emit(self.args, target) as e:
            image, table, limits, out = e.args
            clear_border(e, sink, out, e.T.Cast("int8", e.load(limits, 0)))
            rows = Table(e, table)
            lanes = rows.lanes
            with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x, e.loop(sink.channels // lanes) as c:
                value = e.load(image, n, y + source.border, x + source.border, c * lanes, lanes=lanes)
                e.store(out, rows.look_up(value), n, y + sink.border, x + sink.border, c * lanes, lanes=lanes)
        return e.function


class Table:
    """256 int8 in registers, or in memory where there is no instruction for it.

    Attributes:
        lanes: numbers that are looked up at once.
    """

    def __init__(self, e: Emitter, buffer: Expr, first: int = 0) -> None:
        self.e, self.buffer, self.first = e, buffer, first
        self.lanes = VECTOR if e.arm else 1
        starts = range(first, first + 256, VECTOR) if e.arm else ()
        self.rows = [e.let(e.load(buffer, start, lanes=VECTOR)) for start in starts]

    def look_up(self, value: Expr) -> Expr:
        """Return what stands in the place of `lanes` int8.

        ARM looks in four quarters, one after the other: an index that is not in a quarter leaves what was found.
        """
        e = self.e
        if not e.arm:
            return e.load(self.buffer, self.first + e.T.Cast("int32", value) + 128)
        index = e.let(value ^ _splat(e, -128))
        found = intrinsic(e, "int8x16", "llvm.aarch64.neon.tbl4", *self.rows[:4], index)
        for row in (4, 8, 12):
            index = e.let(index - _splat(e, 64))
            found = intrinsic(e, "int8x16", "llvm.aarch64.neon.tbx4", found, *self.rows[row : row + 4], index)
        return found


def _splat(e: Emitter, number: int) -> Expr:
    return e.T.broadcast(e.T.IntImm("int8", number), VECTOR)
