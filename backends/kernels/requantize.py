"""From int32 accumulators to int8: what QLinearConv and QLinearAdd of onnxruntime compute, to the bit.

    requantize   y = clip(rint(fp32(acc) * s) + zero, low, high)
                 s = fp32(fp32(x_scale * w_scale) / y_scale)
    add          y = clip(rint(fma(a, ra, fma(b, rb, offset))), low, high)
                 ra = fp32(a_scale / y_scale), rb = fp32(b_scale / y_scale)
                 offset = fp32(zero - fma(ra, a_zero, fp32(rb * b_zero)))

`rint` rounds half to even; `fma` rounds once. Both orders matter: near ties every other one gives other integers. For
the same reason an addition is one of the graph's own integers, which may be uint8, not of the int8 that stand for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.emit import Emitter, Expr
from galen.backends.kernels.simd import concat, intrinsic

LIMITS = Spec((3,), "int32")
"""Zero point, lowest and highest value of an output."""

TERMS = Spec((6,), "float32")
"""`ra`, `rb`, `offset` of an addition, and by how much the graph's `a`, `b` and `y` exceed their int8."""


@dataclass(frozen=True)
class Addend:
    """A second int8 image that is added after requantization; `first`: it is the left operand of the addition."""

    image: Image
    first: bool = False

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, terms of the addition, limits of the sum."""
        return self.image.spec, TERMS, LIMITS


def scales(x_scale: np.ndarray, w_scale: np.ndarray, y_scale: np.ndarray) -> np.ndarray:
    """Return the multipliers of a requantization, float32 `[channels]`, rounded in the order of QLinearConv."""
    product = np.float32(x_scale) * np.atleast_1d(w_scale).astype(np.float32)
    return np.asarray(product / np.float32(y_scale), np.float32)


@dataclass(frozen=True)
class Grid:
    """The integers of a tensor of the graph: `(q - zero) * scale`; an int8 that stands for `q` is `q - move`."""

    scale: np.float32
    zero: int
    move: int = 0


def terms(a: Grid, b: Grid, y: Grid) -> np.ndarray:
    """Return `TERMS` of an addition."""
    ra, rb = a.scale / y.scale, b.scale / y.scale
    inner = _fma(np.float32(a.zero), ra, rb * np.float32(b.zero))
    return np.array([ra, rb, np.float32(y.zero) - inner, a.move, b.move, y.move], np.float32)


def requantize(acc: np.ndarray, scale: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the int32 that int32 accumulators `[..., channels]` become; `limits` as in `LIMITS`."""
    zero, low, high = (int(v) for v in limits)
    value = np.rint(acc.astype(np.float32) * scale.astype(np.float32))
    return np.asarray(np.clip(value, low - zero, high - zero) + zero, np.int32)


def add(a: np.ndarray, b: np.ndarray, term: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the sum of two int8 arrays as int32; `term` as in `TERMS`, `limits` of the int8."""
    ra, rb, offset, *moves = term
    left, right = (q.astype(np.float32) + move for q, move in zip((a, b), moves[:2], strict=True))
    value = np.rint(_fma(left, ra, _fma(right, rb, offset))) - moves[2]
    return np.asarray(np.clip(value, limits[1], limits[2]), np.int32)


def _fma(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> np.ndarray:
    """Return fp32(a * b + c), rounded once: the exact value has fewer bits than a double for 8-bit `a`."""
    exact = np.asarray(a, np.float64) * np.asarray(b, np.float64) + np.asarray(c, np.float64)
    return np.asarray(exact, np.float32)


class Requantizer:
    """Emits the epilogue of a kernel whose last arguments are scale, limits, those of the addend, and the sink."""

    def __init__(self, e: Emitter, sink: Image, addend: Addend | None, buffers: Sequence[Expr], lanes: int) -> None:
        self.e, self.sink, self.addend, self.lanes = e, sink, addend, lanes
        self.scale, limits, *self.others, self.output = buffers
        self.zero, self.low, self.high = self._limits(limits)
        self.final = self._limits(self.others[2]) if addend else (self.zero, self.low, self.high)
        if addend:
            self.sum = Sum(e, self.others[1], lanes)

    def _limits(self, buffer: Expr) -> tuple[Expr, Expr, Expr]:
        zero, low, high = (self.e.let(self.e.load(buffer, i)) for i in range(3))
        return zero, low, high

    @property
    def border(self) -> Expr:
        """What fills border and padding of the sink."""
        return self.e.T.Cast("int8", self.final[0])

    def write(self, sums: Sequence[Sequence[Expr]], pixels: Sequence[tuple[Expr, Expr, Expr]], channel: Expr) -> None:
        """Requantize and store int32 vectors: `sums[i]` are neighbouring channels from `channel` of `pixels[i]`.

        Vectors are narrowed together: those of one pixel, or where a pixel has only one, those of four pixels.
        """
        at = [(i, v) for i, vectors in enumerate(sums) for v in range(len(vectors))]
        values = [self._value(sums[i][v], (*pixels[i], channel + v * self.lanes)) for i, v in at]
        limits = (self.sum.back, *self.final[1:]) if self.addend else self.final
        run = len(sums[0])
        size = run if run > 1 else 4
        for first in range(0, len(at), size):
            group = at[first : first + size]
            packed = self.e.let(narrow(self.e, values[first : first + size], self.lanes, limits))
            for start in range(0, len(group), run):
                i, v = group[start]
                part = take(self.e, packed, (start * self.lanes, run * self.lanes), len(group) * self.lanes)
                self._store(part, pixels[i], channel + v * self.lanes, run * self.lanes)

    def _store(self, value: Expr, pixel: tuple[Expr, Expr, Expr], channel: Expr, lanes: int) -> None:
        (n, y, x), b = pixel, self.sink.border
        self.e.store(self.output, value, n, y + b, x + b, channel, lanes=lanes)

    def _value(self, acc: Expr, at: tuple[Expr, Expr, Expr, Expr]) -> Expr:
        """Return the result as fp32, to be rounded; without addend still without zero point."""
        e, n = self.e, self.lanes
        scaled = e.T.Cast(f"float32x{n}", acc) * e.load(self.scale, at[3], lanes=n)
        if self.addend is None:
            return scaled
        value = rounded(e, scaled, n, (self.low - self.zero, self.high - self.zero)) + e.T.broadcast(self.zero, n)
        b = self.addend.image.border
        other = e.T.Cast(f"int32x{n}", e.load(self.others[0], at[0], at[1] + b, at[2] + b, at[3], lanes=n))
        return self.sum.of(*((other, value) if self.addend.first else (value, other)))


class Sum:
    """Emits additions with the terms in `buffer`.

    Attributes:
        back: what takes the graph's result to its int8, int32.
    """

    def __init__(self, e: Emitter, buffer: Expr, lanes: int) -> None:
        self.e, self.lanes = e, lanes
        values = [e.let(e.load(buffer, i)) for i in range(6)]
        self.ra, self.rb, self.offset = (e.T.broadcast(value, lanes) for value in values[:3])
        *moves, back = (e.let(e.T.Cast("int32", value)) for value in values[3:])
        self.moves = [e.T.broadcast(move, lanes) for move in moves]
        self.back = e.let(e.T.int32(0) - back)

    def of(self, left: Expr, right: Expr) -> Expr:
        """Return the sum, fp32 before rounding, of two vectors of int8, given as int32."""
        dtype = f"float32x{self.lanes}"
        left, right = (self.e.T.Cast(dtype, q + move) for q, move in zip((left, right), self.moves, strict=True))
        return self.e.T.fma(left, self.ra, self.e.T.fma(right, self.rb, self.offset))


def rounded(e: Emitter, value: Expr, lanes: int, bounds: tuple[Expr, Expr]) -> Expr:
    """Return `clip(rint(value))` between int32 `bounds` as int32, for a vector of `lanes` fp32.

    ARM saturates when it rounds, so that integers are limited; elsewhere values are, which comes to the same.
    """
    low, high = bounds
    if e.arm:
        nearest = intrinsic(e, f"int32x{lanes}", "llvm.aarch64.neon.fcvtns", value)
        return e.T.min(e.T.max(nearest, e.T.broadcast(low, lanes)), e.T.broadcast(high, lanes))
    limits = [e.T.broadcast(e.T.Cast("float32", bound), lanes) for bound in (low, high)]
    limited = e.T.min(e.T.max(value, limits[0]), limits[1])
    return e.T.Cast(f"int32x{lanes}", e.T.nearbyint(limited))


def take(e: Emitter, vector: Expr, part: tuple[int, int], of: int) -> Expr:
    """Return `(start, lanes)` of a vector of `of` bytes; four bytes are one word, which ARM stores from any lane."""
    start, lanes = part
    if lanes != 4 or of != 16:
        return e.part(vector, start, lanes, of)
    words = e.T.reinterpret("int32x4", vector)
    return e.T.reinterpret("int8x4", e.T.Shuffle([words], [e.T.int32(start // 4)]))


def narrow(e: Emitter, values: Sequence[Expr], lanes: int, limits: tuple[Expr, Expr, Expr]) -> Expr:
    """Return `clip(rint(value) + zero, low, high)` of all vectors as one of int8; `limits`: zero, low, high.

    ARM saturates at every narrowing, so that clipping is two instructions per 16 values. Elsewhere values are limited
    before rounding, to bounds that are integers: the same as after, and nothing overflows.
    """
    zero, low, high = limits
    if e.arm:
        return _narrow_arm(e, [intrinsic(e, "int32x4", "llvm.aarch64.neon.fcvtns", v) for v in values], zero, low, high)
    bounds = [e.T.broadcast(e.T.Cast("float32", bound - zero), lanes) for bound in (low, high)]
    limited = [e.T.min(e.T.max(value, bounds[0]), bounds[1]) for value in values]
    rounded = [e.T.Cast(f"int32x{lanes}", e.T.nearbyint(v)) + e.T.broadcast(zero, lanes) for v in limited]
    return e.T.Cast(f"int8x{lanes * len(values)}", concat(e, rounded, lanes))


def _narrow_arm(e: Emitter, values: Sequence[Expr], zero: Expr, low: Expr, high: Expr) -> Expr:
    shorts = [intrinsic(e, "int16x4", "llvm.aarch64.neon.sqxtn", value) for value in values]
    shorts += shorts[-1:] * (len(shorts) % 2)
    pairs = [concat(e, shorts[i : i + 2], 4) for i in range(0, len(shorts), 2)]
    move = e.T.broadcast(e.T.Cast("int16", zero), 8)
    pairs = [intrinsic(e, "int16x8", "llvm.aarch64.neon.sqadd", pair, move) for pair in pairs]
    octets = [intrinsic(e, "int8x8", "llvm.aarch64.neon.sqxtn", pair) for pair in pairs]
    bounds = [e.T.broadcast(e.T.Cast("int8", bound), 8 * len(octets)) for bound in (low, high)]
    clipped = e.T.min(e.T.max(concat(e, octets, 8), bounds[0]), bounds[1])
    return e.part(clipped, 0, 4 * len(values), 8 * len(octets))
