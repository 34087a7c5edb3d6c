"""Convolution of few bits: products are summed in lanes of 8 or 16 bits as long as they fit, then widened.

The lane scheme of Han et al. (Extremely Low-bit Convolution Optimization, ICPP 2020). Weights of at most `w` and pixels
of at most `x` in magnitude leave room for `limit // (w * x)` products in a lane: 585 of 4 x 4 bits in 16 (`smlal`),
63 of 2 x 2 bits in 8 (`mla`). Order of weights as in `int8_long`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from galen.backends.kernels.emit import Emitter, Expr, Register
from galen.backends.kernels.int8_conv import STEP, split
from galen.backends.kernels.int8_long import CHANNELS, LongConv
from galen.backends.kernels.int8_span import Tile
from galen.backends.kernels.requantize import Requantizer
from galen.backends.kernels.simd import halves, saddlp, smull, transposed_sum

UNROLL = 2


def room(lane: int, weight_bits: int, source_bits: int) -> int:
    """Return how many products fit a lane of 8 or 16 bits.

    Weights of b bits are at most `2^(b-1) - 1` in magnitude (1 bit: 1), pixels `2^(b-1)`.
    """
    weight = max(1, (1 << (weight_bits - 1)) - 1)
    return ((1 << (lane - 1)) - 1) // (weight << (source_bits - 1))


@dataclass(frozen=True)
class LaneConv(LongConv):
    """Convolution with sums in lanes of `lane` bits.

    Attributes:
        lane: 8 or 16.
        weight_bits, source_bits: widths, which say how many products a lane holds.
    """

    lane: Literal[8, 16] = 16
    weight_bits: int = 4
    source_bits: int = 4
    family: ClassVar[str] = "int8-lanes"

    @property
    def chunk(self) -> int:
        """Steps of 16 bytes between two widenings; a step puts two products into a lane of 16 bits, one into 8."""
        return room(self.lane, self.weight_bits, self.source_bits) * 8 // self.lane

    def tile(self, e: Emitter, epilogue: Requantizer, channel: Expr, width: int) -> Tile:
        """Return the register tile of ARM; elsewhere that of eight bits."""
        return LaneTile(self, e, epilogue, channel) if e.arm else super().tile(e, epilogue, channel, width)


class LaneTile:
    """Some pixels times four channels: sums of narrow lanes in registers, of int32 in memory."""

    def __init__(self, conv: LaneConv, e: Emitter, epilogue: Requantizer, channel: Expr) -> None:
        self.conv, self.e, self.epilogue, self.channel = conv, e, epilogue, channel
        self.image, self.weights, self.bias = e.args[:3]
        self.first = conv.first(channel)
        self.pixels = best_pixels(conv.sink.w)

    @property
    def lanes(self) -> int:
        """Lanes of a narrow sum."""
        return 128 // self.conv.lane

    def emit(self, n: Expr, y: Expr, x: Expr, pixels: int) -> None:
        """Emit reduction, addition of lanes and epilogue."""
        e = self.e
        wide = [e.registers(CHANNELS, 4, "int32") for _ in range(pixels)]
        clear(e, wide, 4, "int32")
        self.reduce(wide, n, y, x)
        at = [(n, y, x + p) for p in range(pixels)]
        self.epilogue.write([[self.total(sums, place)] for sums, place in zip(wide, at, strict=True)], at, self.channel)

    def total(self, sums: list[Register], place: tuple[Expr, Expr, Expr]) -> Expr:  # noqa: ARG002
        """Return the sums of four channels, each over its lanes, and their bias."""
        bias = self.e.load(self.bias, self.channel, lanes=CHANNELS)
        return transposed_sum(self.e, [register.value for register in sums]) + bias

    def reduce(self, wide: list[list[Register]], n: Expr, y: Expr, x: Expr) -> None:
        """Add the products of all taps to `wide`, widening as seldom as the lanes allow."""
        e, conv = self.e, self.conv
        rows, columns, _ = conv.spans
        dtype = f"int{conv.lane}"
        narrow = [e.registers(CHANNELS, self.lanes, dtype) for _ in wide]
        once = rows * columns * conv.steps <= conv.chunk
        if once:
            clear(e, narrow, self.lanes, dtype)
        with e.loop(rows) as row, e.loop(columns) as column:
            at = [(n, *conv.address(y, x + p, row, column)) for p in range(len(wide))]
            for first, count, size in split(conv.steps, min(conv.chunk, conv.steps)):
                with e.loop(count) as chunk:
                    if not once:
                        clear(e, narrow, self.lanes, dtype)
                    before = (row * columns + column) * conv.steps
                    self._chunk(narrow, at, (before, first + chunk * size), size)
                    if not once:
                        self._widen(wide, narrow)
        if once:
            self._widen(wide, narrow)

    def _chunk(
        self,
        sums: list[list[Register]],
        at: list[tuple[Expr, Expr, Expr]],
        steps: tuple[Expr, Expr],
        size: int,
    ) -> None:
        """Sum the products of `size` steps; `steps`: those before the span, and in the span before the chunk."""
        before, first = steps
        for begin, count, unroll in split(size, min(UNROLL, size)):
            with self.e.loop(count) as index:
                for u in range(unroll):
                    step = first + begin + index * unroll + u
                    self._step(sums, at, before + step, step)

    def _step(self, sums: list[list[Register]], at: list[tuple[Expr, Expr, Expr]], position: Expr, step: Expr) -> None:
        values = [self.e.let(self.pixel(place, step)) for place in at]
        for c in range(CHANNELS):
            weight = self.e.let(self.weight(position, c))
            for p, value in enumerate(values):
                sums[p][c].set(self.multiply(sums[p][c].value, value, weight))

    def _widen(self, wide: list[list[Register]], narrow: list[list[Register]]) -> None:
        for pixel, sums in zip(wide, narrow, strict=True):
            for register, total in zip(pixel, sums, strict=True):
                register.set(register.value + self.widened(total.value))

    def pixel(self, place: tuple[Expr, Expr, Expr], step: Expr) -> Expr:
        """Load 16 bytes of a span."""
        return self.e.load(self.image, *place, self.first + step * STEP, lanes=STEP)

    def weight(self, position: Expr, channel: int) -> Expr:
        """Load the 16 bytes of one of the four channels at a step counted from the first of the window."""
        rows, columns, _ = self.conv.spans
        base = self.channel * (rows * columns * self.conv.steps * STEP)
        return self.e.load(self.weights, base + position * (STEP * CHANNELS) + channel * STEP, lanes=STEP)

    def multiply(self, total: Expr, pixel: Expr, weight: Expr) -> Expr:
        """Add products to a narrow sum."""
        e = self.e
        if self.conv.lane == 8:
            return total + pixel * weight
        for a, b in zip(halves(e, pixel, "int8x8"), halves(e, weight, "int8x8"), strict=True):
            total = total + smull(e, a, b)
        return total

    def widened(self, total: Expr) -> Expr:
        """Return a narrow sum as four of int32."""
        return saddlp(self.e, total if self.conv.lane == 16 else saddlp(self.e, total, "int16x8"))


def clear(e: Emitter, registers: list[list[Register]], lanes: int, dtype: str) -> None:
    """Set registers to zero."""
    for register in (r for row in registers for r in row):
        register.set(e.T.broadcast(e.T.IntImm(dtype, 0), lanes))


def best_pixels(columns: int) -> int:
    """Return how many pixels of a row to compute at once for the fewest instructions; a step costs `4.5 p + 4`."""

    def cost(pixels: int) -> float:
        return sum(count * (4.5 * size + 4) for _, count, size in split(columns, pixels))

    return min(range(1, 6), key=cost)
