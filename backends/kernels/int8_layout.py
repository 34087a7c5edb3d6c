"""Between fp32 and int8, between ONNX's axis order and images: the edges of quantized parts of a network.

    quantize      q = clip(rint(value / scale) + zero, low, high)
    dequantize    value = (q - zero) * scale

Dense tensors of rank 4 are `[n, c, h, w]`; of any other rank they are rows, an image `[1, 1, rows, c]`. Integers of
dense tensors are only moved, by what stands in place of `low`: images hold uint8 less 128, and ranges of few bits
around zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit, pieces
from galen.backends.kernels.quotient import Divisor
from galen.backends.kernels.requantize import LIMITS, narrow
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

SCALE = Spec((1,), "float32")

VECTOR = 16
"""int8 in a vector."""


def index(layout: Image | Spec, n: Expr, y: Expr, x: Expr, c: Expr) -> tuple[Expr, ...]:
    """Return the indices of an element of an image, of a dense `[n, c, h, w]`, or of rows (all but the last axis)."""
    if isinstance(layout, Image):
        return n, y + layout.border, x + layout.border, c
    if len(layout.shape) == 4:
        return n, c, y, x
    rows, outer = x, []
    for extent in reversed(layout.shape[1:-1]):
        outer.append(rows % extent)
        rows = rows // extent
    return (*([rows] if len(layout.shape) > 1 else []), *reversed(outer), c)


def pixels(layout: Image | Spec, memory: np.ndarray) -> np.ndarray:
    """Return `[n, h, w, c]` of an image or dense tensor."""
    if isinstance(layout, Image):
        return layout.interior(memory)
    return memory.transpose(0, 2, 3, 1) if memory.ndim == 4 else memory.reshape(1, 1, -1, memory.shape[-1])


@dataclass(frozen=True)
class Quantize(Kernel):
    """From fp32, int8 or uint8 to an int8 image. Arguments: source, scale (unused for integers), limits, image."""

    source: Image | Spec
    sink: Image
    family: ClassVar[str] = "quantize"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, scale, limits, image."""
        return _spec(self.source), SCALE, LIMITS, self.sink.spec

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Quantize and place."""
        source, scale, (zero, low, high) = inputs
        value = pixels(self.source, source)
        if value.dtype == np.float32:
            with np.errstate(over="ignore"):
                value = np.clip(np.rint(value / scale), low - zero, high - zero) + zero
        else:
            value = value.astype(np.int32) + low
        return [self.sink.place(value, zero)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels and, sixteen at once where fp32 numbers are neighbours, channels."""
        sink = self.sink
        with emit(self.args, target) as e:
            limits = [e.let(e.load(e.args[2], i)) for i in range(3)]
            by = Divisor(e, e.load(e.args[1], 0))
            zero = e.T.Cast("int8", limits[0])
            clear_border(e, sink, e.args[3], zero)
            dense = not isinstance(self.source, Image) and len(self.source.shape) == 4
            vectors = _spec(self.source).dtype == "float32" and not dense
            with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x:
                done = self._vectors(e, (n, y, x), by, limits) if vectors else 0
                if done < sink.c:
                    with e.loop(sink.c - done) as c:
                        self._element(e, (n, y, x, done + c), by, limits)
                for at, lanes in pieces(sink.channels - sink.c, VECTOR):
                    padding = e.splat(zero, lanes, "int8")
                    e.store(e.args[3], padding, *index(sink, n, y, x, sink.c + at), lanes=lanes)
        return e.function

    def _vectors(self, e: Emitter, pixel: tuple[Expr, Expr, Expr], by: Divisor, limits: Sequence[Expr]) -> int:
        """Quantize the channels of a pixel that fill vectors of fp32; return how many those are."""
        source, _, _, image = e.args
        done = 0
        for lanes in (VECTOR, VECTOR // 2, VECTOR // 4):
            count = (self.sink.c - done) // lanes
            if not count or lanes < e.lanes:
                continue
            with e.loop(count) as number:
                first = done + number * lanes
                places = (index(self.source, *pixel, first + v) for v in range(0, lanes, e.lanes))
                ratios = [by.divide(e.load(source, *place, lanes=e.lanes), e.lanes) for place in places]
                found = narrow(e, ratios, e.lanes, (limits[0], limits[1], limits[2]))
                e.store(image, found, *index(self.sink, *pixel, first), lanes=lanes)
            done += count * lanes
        return done

    def _element(self, e: Emitter, place: tuple[Expr, Expr, Expr, Expr], by: Divisor, limits: Sequence[Expr]) -> None:
        source, _, _, image = e.args
        zero, low, high = limits
        value = e.load(source, *index(self.source, *place))
        if _spec(self.source).dtype == "float32":
            value = _round(e, by.divide(value, 1), zero, low, high)
        else:
            value = e.T.Cast("int32", value) + low
        e.store(image, e.T.Cast("int8", value), *index(self.sink, *place))


def _round(e: Emitter, ratio: Expr, zero: Expr, low: Expr, high: Expr) -> Expr:
    bounds = [e.T.Cast("float32", bound - zero) for bound in (low, high)]
    return e.T.Cast("int32", e.T.nearbyint(e.T.min(e.T.max(ratio, bounds[0]), bounds[1]))) + zero


@dataclass(frozen=True)
class Dequantize(Kernel):
    """From an int8 image to fp32, int8 or uint8, dense or (fp32) an image. Arguments: image, scale, limits, sink."""

    source: Image
    sink: Image | Spec
    family: ClassVar[str] = "dequantize"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, scale, limits, sink."""
        return self.source.spec, SCALE, LIMITS, _spec(self.sink)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Dequantize and place."""
        memory, scale, (zero, low, _) = inputs
        dtype = np.dtype(_spec(self.sink).dtype)
        value = self.source.interior(memory).astype(np.int32)
        value = (value - zero).astype(np.float32) * scale[0] if dtype == np.float32 else value - low
        if isinstance(self.sink, Image):
            return [self.sink.place(value)]
        dense = value.transpose(0, 3, 1, 2) if len(self.sink.shape) == 4 else value
        return [np.ascontiguousarray(dense.reshape(self.sink.shape).astype(dtype))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels and channels."""
        source = self.source
        dtype = _spec(self.sink).dtype
        with emit(self.args, target) as e:
            image, scale, limits, sink = e.args
            zero, low = (e.let(e.load(limits, i)) for i in range(2))
            if isinstance(self.sink, Image):
                clear_border(e, self.sink, sink)
            with e.loop(source.n) as n, e.loop(source.h) as y, e.loop(source.w) as x:
                with e.loop(source.c) as c:
                    value = e.T.Cast("int32", e.load(image, *index(source, n, y, x, c)))
                    fp32 = e.T.Cast("float32", value - zero) * e.load(scale, 0)
                    value = fp32 if dtype == "float32" else value - low
                    e.store(sink, e.T.Cast(dtype, value), *index(self.sink, n, y, x, c))
                if isinstance(self.sink, Image) and self.sink.channels > source.c:
                    with e.loop(self.sink.channels - source.c) as c:
                        e.store(sink, e.T.float32(0), *index(self.sink, n, y, x, c + source.c))
        return e.function


def _spec(layout: Image | Spec) -> Spec:
    return layout.spec if isinstance(layout, Image) else layout
