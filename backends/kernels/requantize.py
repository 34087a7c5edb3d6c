"""From int32 accumulators to int8: what QLinearConv and QLinearAdd of onnxruntime compute, to the bit.

    requantize   y = clip(rint(fp32(acc) * s) + zero, low, high)                  s = fp32(fp32(x_scale * w_scale) / y_scale)
    add          y = clip(rint(fma(a, ra, fma(b, rb, offset))), low, high)        ra = fp32(a_scale / y_scale), rb alike
                 offset = fp32(zero - fma(ra, a_zero, fp32(rb * b_zero)))

`rint` rounds half to even; `fma` rounds once. Both orders matter: near ties every other one gives other integers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.emit import Emitter, Expr
from galen.backends.kernels.simd import concat, intrinsic

LIMITS = Spec((3,), "int32")
"""Zero point, lowest and highest value of an output."""

RATIOS = Spec((3,), "float32")
"""`ra`, `rb` and `offset` of an addition."""


@dataclass(frozen=True)
class Addend:
    """A second int8 image that is added after requantization; `first`: it is the left operand of the addition."""

    image: Image
    first: bool = False

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, ratios of the addition, limits of the sum."""
        return self.image.spec, RATIOS, LIMITS


def scales(x_scale: np.ndarray, w_scale: np.ndarray, y_scale: np.ndarray) -> np.ndarray:
    """Return the multipliers of a requantization, float32 `[channels]`, rounded in the order of QLinearConv."""
    product = np.float32(x_scale) * np.atleast_1d(w_scale).astype(np.float32)
    return np.asarray(product / np.float32(y_scale), np.float32)


def ratios(
    a_scale: np.ndarray, b_scale: np.ndarray, y_scale: np.ndarray, a_zero: int, b_zero: int, y_zero: int
) -> np.ndarray:
    """Return `RATIOS` of an addition."""
    ra, rb = np.float32(a_scale) / np.float32(y_scale), np.float32(b_scale) / np.float32(y_scale)
    inner = _fma(np.float32(a_zero), ra, rb * np.float32(b_zero))
    return np.array([ra, rb, np.float32(y_zero) - inner], np.float32)


def requantize(acc: np.ndarray, scale: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the int32 that int32 accumulators `[..., channels]` become; `limits` as in `LIMITS`."""
    zero, low, high = (int(v) for v in limits)
    value = np.rint(acc.astype(np.float32) * scale.astype(np.float32))
    return np.asarray(np.clip(value, low - zero, high - zero) + zero).astype(np.int32)


def add(a: np.ndarray, b: np.ndarray, ratio: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the sum of two 8-bit arrays as int32; `ratio` as in `RATIOS`."""
    ra, rb, offset = ratio
    value = np.rint(_fma(a.astype(np.float32), ra, _fma(b.astype(np.float32), rb, offset)))
    return np.clip(value, limits[1], limits[2]).astype(np.int32)


def _fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return fp32(a * b + c), rounded once: the exact value has fewer bits than a double for 8-bit `a`."""
    return np.asarray(np.float64(a) * np.float64(b) + np.float64(c), np.float32)


class Requantizer:
    """Emits the epilogue of a kernel whose last arguments are bias, scale, limits, those of the addend, and the sink."""

    def __init__(self, e: Emitter, sink: Image, addend: Addend | None, buffers: Sequence[Expr], lanes: int) -> None:
        self.e, self.sink, self.addend, self.lanes = e, sink, addend, lanes
        self.scale, limits, *self.others, self.output = buffers
        self.zero, self.low, self.high = self._limits(limits)
        self.final = self._limits(self.others[2]) if addend else (self.zero, self.low, self.high)
        if addend:
            self.ratios = [e.let(e.load(self.others[1], i)) for i in range(3)]

    def _limits(self, buffer: Expr) -> tuple[Expr, Expr, Expr]:
        zero, low, high = (self.e.let(self.e.load(buffer, i)) for i in range(3))
        return zero, low, high

    @property
    def border(self) -> Expr:
        """What fills border and padding of the sink."""
        return self.e.T.Cast("int8", self.final[0])

    def write(self, sums: Sequence[Sequence[Expr]], pixels: Sequence[tuple[Expr, Expr, Expr]], channel: Expr) -> None:
        """Requantize and store int32 vectors: `sums[i]` are neighbouring channels from `channel` of `pixels[i]`.

        ARM narrows four vectors at a time, be they of one pixel or of four.
        """
        at = [(i, v) for i, vectors in enumerate(sums) for v in range(len(vectors))]
        values = [self._value(sums[i][v], (*pixels[i], channel + v * self.lanes)) for i, v in at]
        for first in range(0, len(at), 4):
            group = at[first : first + 4]
            packed = self.e.let(self._narrow(values[first : first + 4]))
            run = len([i for i, _ in group if i == group[0][0]])
            for start in range(0, len(group), run):
                self._store(
                    packed, start, run, len(group), pixels[group[start][0]], channel + group[start][1] * self.lanes
                )

    def _store(
        self, packed: Expr, start: int, run: int, count: int, pixel: tuple[Expr, Expr, Expr], channel: Expr
    ) -> None:
        """Store `run` of the `count` vectors in `packed`."""
        n, y, x = pixel
        part = self.e.part(packed, start * self.lanes, run * self.lanes, count * self.lanes)
        b = self.sink.border
        self.e.store(self.output, part, n, y + b, x + b, channel, lanes=run * self.lanes)

    def _value(self, acc: Expr, at: tuple[Expr, Expr, Expr, Expr]) -> Expr:
        """Return the rounded result as int32, on ARM without addend still without zero point."""
        e, n = self.e, self.lanes
        scaled = e.T.Cast(f"float32x{n}", acc) * e.load(self.scale, at[3], lanes=n)
        if not self.addend:
            return _rint(e, scaled, n) if e.arm else _rint(e, self._clamp(scaled), n) + e.T.broadcast(self.zero, n)
        zero = e.T.broadcast(e.T.Cast("float32", self.zero), n)
        return self._clip(_rint(e, self._sum(e.T.nearbyint(self._clamp(scaled)) + zero, at), n))

    def _clamp(self, scaled: Expr) -> Expr:
        """Limit before rounding, to bounds that are integers: the same as after, and nothing overflows."""
        e, n = self.e, self.lanes
        low, high = (e.T.broadcast(e.T.Cast("float32", bound - self.zero), n) for bound in (self.low, self.high))
        return e.T.min(e.T.max(scaled, low), high)

    def _sum(self, value: Expr, at: tuple[Expr, Expr, Expr, Expr]) -> Expr:
        e, n, assert_addend = self.e, self.lanes, self.addend
        assert assert_addend is not None
        b = assert_addend.image.border
        other = e.load(self.others[0], at[0], at[1] + b, at[2] + b, at[3], lanes=n)
        other = e.T.Cast(f"float32x{n}", e.T.Cast(f"int32x{n}", other))
        left, right = (other, value) if assert_addend.first else (value, other)
        ra, rb, offset = (e.T.broadcast(ratio, n) for ratio in self.ratios)
        return e.T.fma(left, ra, e.T.fma(right, rb, offset))

    def _clip(self, value: Expr) -> Expr:
        if self.e.arm:
            return value
        low, high = (self.e.T.broadcast(bound, self.lanes) for bound in self.final[1:])
        return self.e.T.min(self.e.T.max(value, low), high)

    def _narrow(self, values: Sequence[Expr]) -> Expr:
        """Return all values as one vector of int8."""
        e, n = self.e, self.lanes
        if not e.arm:
            return e.T.Cast(f"int8x{n * len(values)}", concat(e, values, n))
        shorts = [intrinsic(e, "int16x4", "llvm.aarch64.neon.sqxtn", value) for value in values]
        shorts += shorts[-1:] * (len(shorts) % 2)
        pairs = [self._move(concat(e, shorts[i : i + 2], 4)) for i in range(0, len(shorts), 2)]
        octets = [intrinsic(e, "int8x8", "llvm.aarch64.neon.sqxtn", pair) for pair in pairs]
        low, high = (e.T.broadcast(e.T.Cast("int8", bound), 8 * len(octets)) for bound in self.final[1:])
        clipped = e.T.min(e.T.max(concat(e, octets, 8), low), high)
        return e.part(clipped, 0, n * len(values), 8 * len(octets))

    def _move(self, shorts: Expr) -> Expr:
        """Add the zero point to int16, saturating; a sum has it already."""
        if self.addend:
            return shorts
        zero = self.e.T.broadcast(self.e.T.Cast("int16", self.zero), 8)
        return intrinsic(self.e, "int16x8", "llvm.aarch64.neon.sqadd", shorts, zero)


def _rint(e: Emitter, value: Expr, lanes: int) -> Expr:
    """Round half to even, to int32; `fcvtns` saturates, elsewhere the value must fit."""
    if e.arm:
        return intrinsic(e, "int32x4", "llvm.aarch64.neon.fcvtns", value)
    return e.T.Cast(f"int32x{lanes}", e.T.nearbyint(value))
