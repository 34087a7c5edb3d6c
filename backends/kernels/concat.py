"""Concatenation along the channels of images, or of dense tensors seen as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Expr, emit, pieces
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Concat(Kernel):
    """The channels of all sources, one after the other, at every pixel."""

    sources: tuple[Image, ...]
    sink: Image
    family: ClassVar[str] = "concat"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Images, image."""
        return (*(source.spec for source in self.sources), self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Concatenate the pixels."""
        pixels = [source.interior(array) for source, array in zip(self.sources, inputs, strict=True)]
        return [self.sink.place(np.concatenate(pixels, -1))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels for every source; the last writes the padding channels too."""
        sink = self.sink
        with emit(self.args, target) as e:
            *images, out = e.args
            lanes = e.lanes * 4 // np.dtype(sink.dtype).itemsize
            clear_border(e, sink, out)
            start = 0
            for source, image in zip(self.sources, images, strict=True):
                with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x:
                    read = (n, y + source.border, x + source.border)
                    write = (n, y + sink.border, x + sink.border)

                    def copy(c: Expr, n: int) -> None:
                        e.store(out, e.load(image, *read, c, lanes=n), *write, start + c, lanes=n)  # noqa: B023

                    e.each_vector(source.c, copy, lanes)
                    if start + source.c == sink.c:
                        for c, rest in pieces(sink.channels - sink.c, lanes):
                            e.store(out, e.splat(e.zero(sink.dtype), rest), *write, sink.c + c, lanes=rest)
                start += source.c
        return e.function
