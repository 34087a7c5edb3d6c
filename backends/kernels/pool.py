"""Pooling over windows and over whole images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit, pieces
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands
from galen.backends.kernels.window import Window
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

PoolKind = Literal["max", "average"]


@dataclass(frozen=True)
class Pool(Kernel):
    """Maximum or average over windows. Taps outside the image do not count.

    Attributes:
        divisor: what an average divides by; 0 stands for the number of taps inside the image.
    """

    source: Image
    sink: Image
    window: Window
    kind: PoolKind
    divisor: int = 0
    steps: tuple[Step, ...] = ()
    family: ClassVar[str] = "pool"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, operands, image."""
        return (self.source.spec, *operands(self.steps), self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Reduce over the taps of an image padded with what does not count."""
        wide = self.window.border((self.source.h, self.source.w), (self.sink.h, self.sink.w))
        pixels = self.source.interior(inputs[0]).astype(np.float64)
        n, h, w, c = pixels.shape
        padded = Image(n, h, w, c, border=wide, lanes=1)
        neutral = float(np.finfo(np.float32).min) if self.kind == "max" else 0
        place = padded.place(pixels, neutral).astype(np.float64)
        taps = self.window.taps(padded, self.sink, place)
        if self.kind == "max":
            value = taps.max((3, 4))
        else:
            inside = self.window.taps(padded, self.sink, padded.place(np.ones_like(pixels)))
            value = taps.sum((3, 4)) / (self.divisor or inside.sum((3, 4)))
        return [self.sink.place(apply_steps(self.steps, value.astype(np.float32), inputs[1:]))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over output pixels and vectors of channels, with the taps unrolled."""
        sink = self.sink
        with emit(self.args, target) as e:
            clear_border(e, sink, e.args[-1])
            with e.loop(sink.n) as n, e.parallel(sink.h) as y, e.loop(sink.w) as x:
                lanes, channels = e.lanes_of(self.source.dtype), min(self.source.channels, sink.channels)
                e.each_vector(channels, lambda c, count: self._output(e, (n, y, x, c), count), lanes)
        return e.function

    def _output(self, e: Emitter, at: tuple[Expr, Expr, Expr, Expr], lanes: int) -> None:
        n, y, x, c = at
        dtype = self.source.dtype
        (total,) = e.registers(1, lanes, dtype)
        (count,) = e.registers(1, 1, dtype)
        total.set(e.splat(float(np.finfo(dtype).min) if self.kind == "max" else 0.0, lanes, dtype))
        counts = self.kind == "average" and not self.divisor and self._crosses_edge
        if counts:
            count.set(e.splat(0.0, 1, dtype))
        with e.loop(self.window.kh) as ky, e.loop(self.window.kw) as kx:
            row = y * self.window.sy + ky * self.window.dy - self.window.top
            column = x * self.window.sx + kx * self.window.dx - self.window.left
            with e.when(self._inside(e, row, column)):
                b = self.source.border
                tap = e.load(e.args[0], n, row + b, column + b, c, lanes=lanes)
                total.set(e.T.max(total.value, tap) if self.kind == "max" else total.value + tap)
                if counts:
                    count.set(count.value + e.splat(1.0, 1, dtype))
        value = total.value
        if self.kind == "average":
            taps = self.divisor or self.window.kh * self.window.kw
            scale = e.splat(1.0, 1, dtype) / count.value if counts else e.splat(1.0 / taps, 1, dtype)
            value = value * e.splat(scale, lanes)
        value = emit_steps(e, self.steps, e.args[1:-1], value, at, lanes=lanes)
        b = self.sink.border
        e.store(e.args[-1], value, n, y + b, x + b, c, lanes=lanes)

    @property
    def _crosses_edge(self) -> bool:
        return self.window.border((self.source.h, self.source.w), (self.sink.h, self.sink.w)) > 0

    def _inside(self, e: Emitter, row: Expr, column: Expr) -> Expr:
        if not self._crosses_edge:
            return True
        return e.all(row >= 0, row < self.source.h, column >= 0, column < self.source.w)


@dataclass(frozen=True)
class GlobalAverage(Kernel):
    """Average over all pixels of an image, added in fp32."""

    source: Image
    sink: Image
    steps: tuple[Step, ...] = ()
    family: ClassVar[str] = "global-average"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, operands, image of one pixel."""
        return (self.source.spec, *operands(self.steps), self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Average in double precision."""
        value = self.source.interior(inputs[0]).astype(np.float64).mean((1, 2), keepdims=True)
        return [self.sink.place(apply_steps(self.steps, value.astype(np.float32), inputs[1:]))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return, for groups of four vectors of channels, one pass over the pixels."""
        with emit(self.args, target) as e:
            clear_border(e, self.sink, e.args[-1])
            vector, channels = e.lanes_of(self.source.dtype), min(self.source.channels, self.sink.channels)
            group = 4 * vector
            with e.loop(self.sink.n) as n:
                whole = channels // group
                if whole:
                    with e.loop(whole) as c:
                        self._channels(e, n, c * group, pieces(group, vector))
                if channels % group:
                    self._channels(e, n, whole * group, pieces(channels % group, vector))
        return e.function

    def _channels(self, e: Emitter, n: Expr, start: Expr, vectors: list[tuple[int, int]]) -> None:
        source, b = self.source, self.sink.border
        totals = [e.registers(1, lanes)[0] for _, lanes in vectors]
        for total, (_, lanes) in zip(totals, vectors, strict=True):
            total.set(e.splat(0.0, lanes))
        with e.loop(source.h) as y, e.loop(source.w) as x:
            for total, (c, lanes) in zip(totals, vectors, strict=True):
                pixel = (n, y + source.border, x + source.border)
                value = e.load(e.args[0], *pixel, start + c, lanes=lanes)
                total.set(total.value + e.cast(value, "float32", lanes))
        for total, (c, lanes) in zip(totals, vectors, strict=True):
            value = e.cast(total.value * e.splat(1.0 / (source.h * source.w), lanes), source.dtype, lanes)
            value = emit_steps(e, self.steps, e.args[1:-1], value, (n, 0, 0, start + c), lanes=lanes)
            e.store(e.args[-1], value, n, b, b, start + c, lanes=lanes)
