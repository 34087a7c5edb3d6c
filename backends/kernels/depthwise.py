"""Depthwise convolution: every channel has its own window, so a vector of channels is multiplied element by element."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands
from galen.backends.kernels.window import Window
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

PIXELS = 8
"""Neighbouring outputs that share loaded inputs and weights."""


@dataclass(frozen=True)
class DepthwiseConv(Kernel):
    """Depthwise convolution with bias and epilogue. Arguments: image, weights, bias, operands, output."""

    source: Image
    sink: Image
    window: Window
    steps: tuple[Step, ...] = ()
    family: ClassVar[str] = "depthwise"

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, weights `[kh, kw, channels]`, bias `[channels]`, operands, output."""
        weights = Spec((self.window.kh, self.window.kw, self.channels), self.source.dtype)
        bias = Spec((self.channels,), self.source.dtype)
        return (self.source.spec, weights, bias, *operands(self.steps), self.sink.spec)

    @property
    def channels(self) -> int:
        """Channels that both images have in memory."""
        return min(self.source.channels, self.sink.channels)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolution."""
        return self.sink.n * self.sink.h * self.sink.w * self.sink.c * self.window.kh * self.window.kw

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order `[c, 1, kh, kw]` as `[kh, kw, channels]`."""
        packed = np.zeros(self.args[1].shape, self.source.dtype)
        packed[..., : self.sink.c] = weights[:, 0].transpose(1, 2, 0)
        return packed

    def pack_bias(self, bias: np.ndarray | None) -> np.ndarray:
        """Extend the bias with zeros to the channels in memory."""
        packed = np.zeros(self.channels, self.source.dtype)
        if bias is not None:
            packed[: self.sink.c] = bias
        return packed

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sum products over the taps in double precision."""
        image, weights, bias, *others = inputs
        taps = self.window.taps(self.source, self.sink, image).astype(np.float64)
        value = np.einsum("nhwklc,klc->nhwc", taps, weights[..., : self.sink.c]) + bias[: self.sink.c]
        return [self.sink.place(apply_steps(self.steps, value.astype(np.float32), others))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over rows, groups of pixels and vectors of channels, with the taps unrolled."""
        sink = self.sink
        with emit(self.args, target) as e:
            clear_border(e, sink, e.args[-1])
            pixels = min(PIXELS, sink.w)
            whole, rest = divmod(sink.w, pixels)
            with e.loop(sink.n) as n, e.parallel(sink.h) as y:
                with e.loop(whole) as group:
                    self._group(e, (n, y, group * pixels), pixels)
                if rest:
                    self._group(e, (n, y, whole * pixels), rest)
        return e.function

    def _group(self, e: Emitter, pixel: tuple[Expr, Expr, Expr], count: int) -> None:
        """Emit `count` neighbouring pixels from `pixel` on, for all channels."""
        lanes = e.lanes_of(self.source.dtype)
        e.each_vector(self.channels, lambda c, n: self._vector(e, pixel, c, count, n), lanes)

    def _vector(self, e: Emitter, pixel: tuple[Expr, Expr, Expr], c: Expr, count: int, lanes: int) -> None:
        n, y, x = pixel
        window, border = self.window, self.source.border
        totals = e.registers(count, lanes, self.source.dtype)
        for total in totals:
            total.set(e.load(e.args[2], c, lanes=lanes))
        for ky in range(window.kh):
            row = y * window.sy + ky * window.dy + border - window.top
            first = x * window.sx + border - window.left
            taps = {p * window.sx + kx * window.dx for p in range(count) for kx in range(window.kw)}
            inputs = {at: e.let(e.load(e.args[0], n, row, first + at, c, lanes=lanes)) for at in sorted(taps)}
            for kx in range(window.kw):
                weight = e.let(e.load(e.args[1], ky, kx, c, lanes=lanes))
                for p, total in enumerate(totals):
                    total.set(total.value + inputs[p * window.sx + kx * window.dx] * weight)
        for p, total in enumerate(totals):
            value = emit_steps(e, self.steps, e.args[3:-1], total.value, (n, y, x + p, c), lanes=lanes)
            e.store(e.args[-1], value, n, y + self.sink.border, x + p + self.sink.border, c, lanes=lanes)
