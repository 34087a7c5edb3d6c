"""Normalisation of groups of channels over all pixels of an image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

WIDE = 4
"""Vectors of channels that are summed side by side."""


@dataclass(frozen=True)
class GroupNorm(Kernel):
    """`(x - mean) / sqrt(variance + epsilon) * scale + bias`, mean and variance of every group in every image.

    As many groups as channels make it instance normalisation (Wu and He 2018, section 3.1).
    Arguments: image, scale and bias of every channel in memory, operands, image.
    """

    source: Image
    sink: Image
    groups: int
    epsilon: float
    steps: tuple[Step, ...] = ()
    family: ClassVar[str] = "group-norm"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, scale, bias, operands, image."""
        vector = Spec((self.source.channels,), "float32")
        return (self.source.spec, vector, vector, *operands(self.steps), self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Normalise in double precision."""
        image, scale, bias, *others = inputs
        pixels = self.source.interior(image).astype(np.float64)
        n, h, w, c = pixels.shape
        grouped = pixels.reshape(n, h * w, self.groups, c // self.groups)
        centred = grouped - grouped.mean((1, 3), keepdims=True)
        value = centred / np.sqrt((centred**2).mean((1, 3), keepdims=True) + self.epsilon)
        value = value.reshape(pixels.shape) * scale[:c] + bias[:c]
        return [self.sink.place(apply_steps(self.steps, value.astype(np.float32), others))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return, for every image, passes over the pixels: mean, variance, result."""
        source, sink = self.source, self.sink
        with emit(self.args, target) as e:
            clear_border(e, sink, e.args[-1])
            means, factors = (e.workspace((source.channels,)) for _ in range(2))
            with e.loop(source.n) as n:
                self._average(e, n, means, lambda x, _c, _lanes: x)

                def square(x: Expr, c: Expr, lanes: int) -> Expr:
                    centred = e.let(x - e.load(means, c, lanes=lanes))
                    return centred * centred

                self._average(e, n, factors, square)
                e.each_vector(source.channels, lambda c, lanes: self._scale(e, factors, c, lanes))
                with e.loop(source.h) as y, e.loop(source.w) as x:
                    self._pixel(e, (n, y, x), means, factors)
        return e.function

    def _average(self, e: Emitter, n: Expr, sink: Any, term: Callable[[Expr, Expr, int], Expr]) -> None:
        """Store the mean of `term(x, channel, lanes)` over a group for every channel of the group."""
        source, size = self.source, self.source.c // self.groups
        share = 1 / (source.h * source.w * size)

        def channels(c: Expr, lanes: int) -> None:
            (total,) = e.registers(1, lanes)
            total.set(e.splat(0.0, lanes))
            with e.loop(source.h) as y, e.loop(source.w) as x:
                value = e.let(e.load(e.args[0], n, y + source.border, x + source.border, c, lanes=lanes))
                total.set(total.value + term(value, c, lanes))
            e.store(sink, total.value * e.splat(share, lanes), c, lanes=lanes)

        e.each_vector(source.channels, channels, WIDE * e.lanes)
        if size == 1:
            return
        with e.loop(self.groups) as group:
            (total,) = e.registers(1, 1)
            total.set(e.splat(0.0, 1))
            with e.loop(size) as i:
                total.set(total.value + e.load(sink, group * size + i))
            with e.loop(size) as i:
                e.store(sink, total.value, group * size + i)

    def _scale(self, e: Emitter, factors: Any, c: Expr, lanes: int) -> None:
        """Turn variances into what centred values are multiplied by."""
        deviation = e.T.sqrt(e.load(factors, c, lanes=lanes) + e.splat(self.epsilon, lanes))
        e.store(factors, e.load(e.args[1], c, lanes=lanes) / deviation, c, lanes=lanes)

    def _pixel(self, e: Emitter, place: tuple[Expr, Expr, Expr], means: Any, factors: Any) -> None:
        """Write one pixel."""
        n, y, x = place
        image, _, bias, *others, out = e.args
        b, border = self.source.border, self.sink.border

        def finish(c: Expr, lanes: int) -> None:
            centred = e.load(image, n, y + b, x + b, c, lanes=lanes) - e.load(means, c, lanes=lanes)
            value = centred * e.load(factors, c, lanes=lanes) + e.load(bias, c, lanes=lanes)
            value = emit_steps(e, self.steps, others, value, (n, y, x, c), lanes=lanes)
            e.store(out, value, n, y + border, x + border, c, lanes=lanes)

        e.each_vector(self.source.channels, finish)
