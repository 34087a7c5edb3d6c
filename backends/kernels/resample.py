"""Resizing: every output is a weighted sum over a few rows and columns, which tables name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Places, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Resample(Kernel):
    """Separable resampling with an epilogue.

    Arguments: image, rows `[h, taps]` and their weights, columns `[w, taps]` and theirs, operands, image.

    Attributes:
        taps: rows and columns that an output reads: 1 nearest, 2 linear, 4 cubic. A single tap has weight 1.
        fill: what stands for zero in the border: the zero point of integers, which have single taps.
    """

    source: Image
    sink: Image
    taps: tuple[int, int]
    steps: tuple[Step, ...] = ()
    fill: int = 0
    family: ClassVar[str] = "resample"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """See the class."""
        rows, columns = (self.sink.h, self.taps[0]), (self.sink.w, self.taps[1])
        return (
            self.source.spec,
            Places(rows, "int32", self.source.h),
            Spec(rows, "float32"),
            Places(columns, "int32", self.source.w),
            Spec(columns, "float32"),
            *operands(self.steps),
            self.sink.spec,
        )

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sum in double precision."""
        image, rows, of_rows, columns, of_columns, *others = inputs
        pixels = self.source.interior(image).astype(np.float64)
        value = np.einsum("nhtwc,ht->nhwc", pixels[:, rows], of_rows if self.taps[0] > 1 else np.ones_like(of_rows))
        weights = of_columns if self.taps[1] > 1 else np.ones_like(of_columns)
        value = np.einsum("nhwtc,wt->nhwc", value[:, :, columns], weights)
        return [self.sink.place(apply_steps(self.steps, value.astype(np.float32), others), self.fill)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over the sink's pixels and vectors of channels."""
        sink = self.sink
        with emit(self.args, target) as e:
            clear_border(e, sink, e.args[-1], e.padding(sink.dtype, self.fill))
            with e.loop(sink.n) as n, e.loop(sink.h) as y:
                rows = _taps(e, e.args[1], e.args[2], y, self.taps[0])
                with e.loop(sink.w) as x:
                    columns = _taps(e, e.args[3], e.args[4], x, self.taps[1])
                    self._pixel(e, (n, y, x), rows, columns)
        return e.function

    def _pixel(self, e: Emitter, pixel: tuple[Expr, Expr, Expr], rows: Sequence[Any], columns: Sequence[Any]) -> None:
        (n, y, x), b = pixel, self.source.border
        places = [((n, r + b, k + b), _product(e, v, w)) for r, v in rows for k, w in columns]

        def output(c: Expr, lanes: int) -> None:
            total = None
            for place, weight in places:
                value = e.load(e.args[0], *place, c, lanes=lanes)
                term = value if weight is None else value * e.splat(weight, lanes)
                total = term if total is None else total + term
            value = emit_steps(e, self.steps, e.args[5:-1], total, (n, y, x, c), lanes=lanes)
            e.store(e.args[-1], value, n, y + self.sink.border, x + self.sink.border, c, lanes=lanes)

        e.each_vector(self.sink.channels, output, e.lanes_of(self.sink.dtype))


def _taps(e: Emitter, table: Any, weights: Any, at: Expr, count: int) -> list[tuple[Expr, Expr | None]]:
    """Return the positions of an output along one axis with their weights, None for 1."""
    if count == 1:
        return [(e.let(e.load(table, at, 0)), None)]
    return [(e.let(e.load(table, at, tap)), e.let(e.load(weights, at, tap))) for tap in range(count)]


def _product(e: Emitter, a: Expr | None, b: Expr | None) -> Expr | None:
    return b if a is None else a if b is None else e.let(a * b)
