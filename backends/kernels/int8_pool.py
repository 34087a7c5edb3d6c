"""Pooling of int8 images. Formulas of the averages in `galen.backends.integer`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, Register, emit
from galen.backends.kernels.int8_elementwise import VECTOR, read
from galen.backends.kernels.requantize import LIMITS, narrow
from galen.backends.kernels.window import Window
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Int8GlobalAverage(Kernel):
    """Mean over an image: `y = rint((sum - offset) * s) + zero`. Arguments: image, offset, s, limits, sink.

    `offset` int32 `[1]` is the zero point times the number of pixels.
    """

    source: Image
    sink: Image
    family: ClassVar[str] = "int8-average"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, offset, s, limits, sink."""
        return self.source.spec, Spec((1,), "int32"), Spec((1,), "float32"), LIMITS, self.sink.spec

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sum, scale, round."""
        image, offset, scale, (zero, low, high) = inputs
        acc = self.source.interior(image).sum(axis=(1, 2), keepdims=True, dtype=np.int32) - offset
        value = np.rint(acc.astype(np.float32) * scale) + zero
        return [self.sink.place(np.clip(value, low, high), zero)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over vectors of channels around one over pixels."""
        source, sink = self.source, self.sink
        with emit(self.args, target) as e:
            image, offset, scale, limits, out = e.args
            start, factor = e.let(e.T.int32(0) - e.load(offset, 0)), e.let(e.load(scale, 0))
            bounds = _limits(e, limits)
            clear_border(e, sink, out, e.T.Cast("int8", bounds[0]))
            with e.loop(source.n) as n, e.loop(sink.channels // VECTOR) as c:
                totals = _totals(e, start)
                with e.loop(source.h) as y, e.loop(source.w) as x:
                    at = (n, y + source.border, x + source.border, c * VECTOR)
                    _accumulate(e, totals, e.load(image, *at, lanes=VECTOR))
                values = [e.T.Cast(f"float32x{_lanes(e)}", t.value) * e.splat(factor, _lanes(e)) for t in totals]
                e.store(
                    out, narrow(e, values, _lanes(e), bounds), n, sink.border, sink.border, c * VECTOR, lanes=VECTOR
                )
        return e.function


@dataclass(frozen=True)
class Int8AveragePool(Kernel):
    """Mean over windows, in fp32: `y = rint(sum((x - x_zero) * x_scale) / count / y_scale + zero)`.

    Arguments: image, `x_zero` int32 `[1]`, float32 `[4]` (scales of x and y, the graph's zero point of y, and 0, which
    the compiler must not know: it would round product and sum at once), counts float32 `[h, w]`, limits, sink.
    """

    source: Image
    sink: Image
    window: Window
    family: ClassVar[str] = "int8-average"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, zero point, scales, counts, limits, sink."""
        counts = Spec((self.sink.h, self.sink.w), "float32")
        return self.source.spec, Spec((1,), "int32"), Spec((4,), "float32"), counts, LIMITS, self.sink.spec

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sum in the order of the taps, divide, round."""
        image, x_zero, (x_scale, y_scale, y_zero, _), counts, (zero, low, high) = inputs
        taps = self.window.taps(self.source, self.sink, image).astype(np.int32) - x_zero
        mean = ordered_sum(np.moveaxis(taps.astype(np.float32) * x_scale, (3, 4), (0, 1))) / counts[None, :, :, None]
        value = np.rint(mean / y_scale + y_zero) - y_zero + zero
        return [self.sink.place(np.clip(value, low, high), zero)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over pixels and vectors of channels around those over taps."""
        sink, window = self.sink, self.window
        with emit(self.args, target) as e:
            image, x_zero, scale, counts, limits, out = e.args
            lanes, bounds = _lanes(e), _limits(e, limits)
            x_scale, y_scale, y_zero, nothing = (e.splat(e.let(e.load(scale, i)), lanes) for i in range(4))
            less = e.splat(e.load(x_zero, 0), lanes)
            back = e.let(bounds[0] - e.T.Cast("int32", e.load(scale, 2)))
            clear_border(e, sink, out, e.T.Cast("int8", bounds[0]))
            with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x, e.loop(sink.channels // VECTOR) as c:
                totals = e.registers(VECTOR // lanes, lanes)
                for total in totals:
                    total.set(e.splat(0.0, lanes))
                with e.loop(window.kh) as ky, e.loop(window.kw) as kx:
                    row, column = _address(window, (y, x), (ky, kx))
                    pixel = (n, row, column, c * VECTOR)
                    for total, value in zip(totals, read(e, self.source, image, pixel), strict=True):
                        centred = e.T.Cast(f"float32x{lanes}", value - less)
                        total.set(total.value + e.T.fma(centred, x_scale, nothing))
                count = e.splat(e.load(counts, y, x), lanes)
                values = [total.value / count / y_scale + y_zero for total in totals]
                result = narrow(e, values, lanes, (back, *bounds[1:]))
                e.store(out, result, n, y + sink.border, x + sink.border, c * VECTOR, lanes=VECTOR)
        return e.function


def ordered_sum(taps: np.ndarray) -> np.ndarray:
    """Return the fp32 sum over the first two axes, rounded after every addition."""
    total = np.zeros(taps.shape[2:], np.float32)
    for tap in taps.reshape(-1, *taps.shape[2:]):
        total = total + tap
    return total


@dataclass(frozen=True)
class Int8MaxPool(Kernel):
    """Largest of every window; the source's border must not exceed its pixels. Arguments: image, limits, sink."""

    source: Image
    sink: Image
    window: Window
    family: ClassVar[str] = "int8-max"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, limits (whose zero point fills the sink's border), sink."""
        return self.source.spec, LIMITS, self.sink.spec

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Take the largest."""
        return [self.sink.place(self.window.taps(self.source, self.sink, inputs[0]).max(axis=(3, 4)), inputs[1][0])]

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over pixels and vectors of channels, with the taps unrolled."""
        sink, window = self.sink, self.window
        with emit(self.args, target) as e:
            image, limits, out = e.args
            clear_border(e, sink, out, e.T.Cast("int8", _limits(e, limits)[0]))
            with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x, e.loop(sink.channels // VECTOR) as c:
                places = [_address(window, (y, x), (ky, kx)) for ky in range(window.kh) for kx in range(window.kw)]
                b = self.source.border
                taps = [e.load(image, n, r + b, k + b, c * VECTOR, lanes=VECTOR) for r, k in places]
                largest = taps[0]
                for tap in taps[1:]:
                    largest = e.T.max(largest, tap)
                e.store(out, largest, n, y + sink.border, x + sink.border, c * VECTOR, lanes=VECTOR)
        return e.function


def _lanes(e: Emitter) -> int:
    return 4 if e.arm else VECTOR


def _limits(e: Emitter, buffer: Expr) -> tuple[Expr, Expr, Expr]:
    zero, low, high = (e.let(e.load(buffer, i)) for i in range(3))
    return zero, low, high


def _totals(e: Emitter, start: Expr) -> list[Register]:
    """Return registers for 16 int32 sums that begin with `start`."""
    totals = e.registers(VECTOR // _lanes(e), _lanes(e), "int32")
    for total in totals:
        total.set(e.splat(start, _lanes(e)))
    return totals


def _address(window: Window, pixel: tuple[Expr, Expr], tap: tuple[Expr, Expr]) -> tuple[Expr, Expr]:
    """Return row and column of the source under a tap."""
    (y, x), (ky, kx) = pixel, tap
    return y * window.sy + ky * window.dy - window.top, x * window.sx + kx * window.dx - window.left


def _accumulate(e: Emitter, totals: list[Register], bytes_: Expr) -> None:
    wide = e.let(e.T.Cast(f"int32x{VECTOR}", bytes_))
    for i, total in enumerate(totals):
        total.set(total.value + e.part(wide, i * _lanes(e), _lanes(e), VECTOR))
