"""Products of two computed matrices, as in attention."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.registers import RegisterTile, Tile, vector
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Product(Kernel):
    """`C[b] = A[b] @ B[b]` with an epilogue. Arguments: A `[b, m, k]`, B `[b, k, n]`, operands, C `[b, m, n]`.

    Operands of the steps see C as an image of one row with `b * m` pixels and `n` channels.

    Attributes:
        dtype, result: types of A and B, and of C, which the steps convert to where it is another.
    """

    batch: int
    m: int
    k: int
    n: int
    tile: Tile
    steps: tuple[Step, ...] = ()
    dtype: str = "float32"
    result: str = "float32"
    family: ClassVar[str] = "product"

    @property
    def args(self) -> tuple[Spec, ...]:
        """A, B, operands, C."""
        a, b, c = ((self.batch, *shape) for shape in ((self.m, self.k), (self.k, self.n), (self.m, self.n)))
        return (Spec(a, self.dtype), Spec(b, self.dtype), *operands(self.steps), Spec(c, self.result))

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.batch * self.m * self.n * self.k

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Multiply in double precision."""
        a, b, *others = inputs
        value = (a.astype(np.float64) @ b).astype(np.float32)
        rows = Image(1, 1, self.batch * self.m, self.n, lanes=1)
        result = apply_steps(self.steps, value.reshape(rows.spec.shape), others)
        return [result.reshape(value.shape).astype(self.result)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over blocks of columns and register tiles of rows; short blocks at the right edge."""
        with emit(self.args, target) as e:
            unit = vector(self.dtype)
            width = min(self.tile.vectors * unit, self.n // unit * unit)
            with e.loop(self.batch) as b:
                start = 0
                if width:
                    with e.parallel(self.n // width) as block:
                        self._rows(e, b, block * width, width)
                    start = self.n // width * width
                whole = (self.n - start) // unit * unit
                for first, count in ((start, whole), (start + whole, self.n - start - whole)):
                    if count:
                        self._rows(e, b, first, count)
        return e.function

    def _rows(self, e: Emitter, b: Expr, column: Expr, width: int) -> None:
        rows = min(self.tile.rows, self.m)
        whole, rest = divmod(self.m, rows)
        with e.loop(whole) as part:
            self._tile(e, (b, part * rows, column), rows, width)
        if rest:
            self._tile(e, (b, whole * rows, column), rest, width)

    def _tile(self, e: Emitter, at: tuple[Expr, Expr, Expr], rows: int, width: int) -> None:
        left, right, *others, out = e.args
        b, first, column = at
        tile = RegisterTile(e, rows, width, self.k, self.dtype)
        tile.set(lambda _: e.splat(0.0, tile.lanes, self.dtype))

        def step(k: Expr, count: int) -> None:
            inputs = [tile.spread(left, (b, first + row, k), count) for row in range(rows)]
            tile.update(inputs, lambda i, offset: e.load(right, b, k + i, column + offset, lanes=tile.lanes))

        tile.reduce(self.k, step)
        for row, offset, result in tile:
            place = (0, 0, b * self.m + first + row, column + offset)
            value = emit_steps(e, self.steps, others, result, place, lanes=tile.lanes)
            e.store(out, value, b, first + row, column + offset, lanes=tile.lanes)
