"""Concatenation along the channels of int8 images, each brought to the scale of the result by a table of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit, pieces
from galen.backends.kernels.int8_table import VECTOR, Table
from galen.backends.kernels.requantize import LIMITS
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

ENTRIES = 256


@dataclass(frozen=True)
class Int8Concat(Kernel):
    """The channels of all sources, one after the other, at every pixel.

    Arguments: images, tables int8 `[number of sources mapped, 256]` flat, limits (whose zero point fills the border),
    image.

    Attributes:
        mapped: whether a source's numbers are looked up: `y = table[x + 128]`.
    """

    sources: tuple[Image, ...]
    sink: Image
    mapped: tuple[bool, ...]
    family: ClassVar[str] = "int8-concat"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Images, tables, limits, image."""
        tables = Spec((max(sum(self.mapped), 1) * ENTRIES,), "int8")
        return (*(source.spec for source in self.sources), tables, LIMITS, self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Look up and concatenate the pixels."""
        *images, tables, limits = inputs
        rest = iter(tables.reshape(-1, ENTRIES))
        pixels = [source.interior(image) for source, image in zip(self.sources, images, strict=True)]
        parts = [next(rest)[p.astype(np.int32) + 128] if m else p for p, m in zip(pixels, self.mapped, strict=True)]
        return [self.sink.place(np.concatenate(parts, -1), limits[0])]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels for every source, then one that fills the padding channels."""
        sink = self.sink
        with emit(self.args, target) as e:
            *images, tables, limits, out = e.args
            zero = e.T.Cast("int8", e.load(limits, 0))
            clear_border(e, sink, out, zero)
            start = first = 0
            for source, image, mapped in zip(self.sources, images, self.mapped, strict=True):
                table = Table(e, tables, first) if mapped else None
                with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x:
                    self._pixel(e, (source, image, (n, y, x)), start, table)
                start, first = start + source.c, first + mapped * ENTRIES
            if rest := pieces(sink.channels - sink.c, VECTOR):
                with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x:
                    for at, lanes in rest:
                        padding = e.splat(zero, lanes, "int8")
                        e.store(out, padding, n, y + sink.border, x + sink.border, sink.c + at, lanes=lanes)
        return e.function

    def _pixel(
        self,
        e: Emitter,
        source: tuple[Image, Expr, tuple[Expr, Expr, Expr]],
        start: int,
        table: Table | None,
    ) -> None:
        """Copy the channels of one pixel of a source to those from `start` on."""
        layout, image, (n, y, x) = source
        read, write = ((n, y + at.border, x + at.border) for at in (layout, self.sink))
        out, lanes = e.args[-1], table.lanes if table else VECTOR

        def copy(c: Expr, count: int) -> None:
            value = e.load(image, *read, c, lanes=lanes)
            found = e.let(table.look_up(value)) if table else e.let(value)
            for at, part in pieces(count, lanes):
                e.store(out, e.part(found, at, part, lanes), *write, start + c + at, lanes=part)

        with e.loop(layout.c // lanes) as index:
            if layout.c >= lanes:
                copy(index * lanes, lanes)
        if layout.c % lanes:
            copy(layout.c // lanes * lanes, layout.c % lanes)
