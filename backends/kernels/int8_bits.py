"""Convolution of bit planes: `and`, `cnt`, add, for 128 products of one bit in three instructions.

With pixels and weights in two's complement, `q = -2^(b-1) q_(b-1) + … + 2 q_1 + q_0`, the product of two numbers is a
sum over pairs of planes (Umuroglu and Jahre 2017; Cowan et al. 2018 have other codes). Weights of one bit are -1 and
+1, `2 v - 1`: twice the product with `v` less the sum of the pixels, which is computed once per window.

The kernel first cuts the image into planes, one bit per channel, in a workspace. Weights are stored at their width:
`[4 channels][plane][window row][column][16 bytes of a span][4 channels][16 bytes]`, and after them, for one bit, a mask
of the channels that exist.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, Register, emit
from galen.backends.kernels.int8_conv import STEP
from galen.backends.kernels.int8_lanes import LaneConv, LaneTile
from galen.backends.kernels.int8_long import CHANNELS
from galen.backends.kernels.requantize import Requantizer
from galen.backends.kernels.simd import addp, popcount, uaddlp
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

_COUNT = 31
"""Counts of up to eight that fit a byte."""


@dataclass(frozen=True)
class BitConv(LaneConv):
    """Convolution by pairs of bit planes. `lane` is not used."""

    family: ClassVar[str] = "int8-bits"

    @property
    def chunk(self) -> int:
        """Steps between two widenings."""
        return _COUNT

    @property
    def depth(self) -> int:
        """Bytes of one pixel of one plane: an eighth of its channels, a power of two below 16."""
        vectors = self.source.channels // STEP
        return 2 ** (vectors - 1).bit_length() * 2 if vectors < 8 else -(-vectors // 8) * STEP

    @property
    def spans(self) -> tuple[int, int, int]:
        """As in `SpanConv`, in bytes of a plane."""
        if self.window.dx == 1:
            return self.window.kh, 1, self.window.kw * self.depth
        return self.window.kh, self.window.kw, self.depth

    @property
    def plane(self) -> int:
        """Bytes of a plane in the workspace, with room for a step that begins in the last pixel."""
        n, h, w, _ = self.source.spec.shape
        return n * h * w * self.depth + STEP

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order int8 `[co, ci, kh, kw]` as the module says, flat."""
        rows, columns, _ = self.spans
        whole = np.zeros((self.sink.channels, *weights.shape[1:]), np.int8)
        whole[: self.sink.c] = weights
        planes = np.stack([self._pack(plane) for plane in self._planes(whole)], axis=1)
        blocks = planes.reshape(-1, CHANNELS, self.weight_bits, rows, columns, self.steps, STEP)
        packed = blocks.transpose(0, 2, 3, 4, 5, 1, 6).ravel()
        if self.weight_bits > 1:
            return packed
        mask = self._pack(np.ones((1, *weights.shape[1:]), bool))
        return np.concatenate([packed, mask.ravel()])

    def _planes(self, weights: np.ndarray) -> list[np.ndarray]:
        if self.weight_bits == 1:
            return [weights > 0]
        return [(weights >> j) & 1 for j in range(self.weight_bits)]

    def _pack(self, bits: np.ndarray) -> np.ndarray:
        """Pack bits `[co, ci, kh, kw]` into spans `[co, rows, columns, steps * 16]`."""
        rows, columns, span = self.spans
        count, channels = bits.shape[:2]
        padded = np.zeros((count, self.window.kh, self.window.kw, self.depth * 8), np.uint8)
        padded[..., :channels] = bits.transpose(0, 2, 3, 1)
        packed = np.packbits(padded, axis=-1, bitorder="little").reshape(count, rows, columns, span)
        return np.pad(packed, [(0, 0)] * 3 + [(0, self.steps * STEP - span)]).view(np.int8)

    def unpack_weights(self, packed: np.ndarray) -> np.ndarray:
        """Undo `pack_weights`."""
        rows, columns, span = self.spans
        bits, width = self.weight_bits, self.sink.channels
        blocks = packed[: width * bits * rows * columns * self.steps * STEP]
        blocks = blocks.reshape(-1, bits, rows, columns, self.steps, CHANNELS, STEP).transpose(1, 0, 5, 2, 3, 4, 6)
        spans = blocks.reshape(bits, width, rows, columns, self.steps * STEP)[..., :span].view(np.uint8)
        taps = np.unpackbits(spans.reshape(bits, width, self.window.kh, self.window.kw, -1), axis=-1, bitorder="little")
        planes = taps[:, : self.sink.c, ..., : self.source.c].transpose(0, 1, 4, 2, 3).astype(np.int8)
        if bits == 1:
            return np.asarray(planes[0] * 2 - 1, np.int8)
        places = np.array([*(1 << j for j in range(bits - 1)), -(1 << (bits - 1))])
        return np.asarray(np.tensordot(places, planes, 1), np.int8)

    def tir(self, target: Target) -> "PrimFunc":
        """Return the cutting into planes, then the loops of `SpanConv`."""
        with emit(self.args, target) as e:
            epilogue = Requantizer(e, self.sink, self.addend, e.args[3:], 4)
            clear_border(e, self.sink, e.args[-1], epilogue.border)
            planes = e.workspace((self.source_bits, self.plane), "int8")
            sums = e.workspace((self.sink.n, self.sink.h, self.sink.w), "int32") if self.weight_bits == 1 else None
            _cut(e, self, planes)
            if sums is not None:
                _window_sums(e, self, planes, sums)
            with e.loop(self.sink.channels // CHANNELS) as block:
                self.rows(e, _BitTile(self, e, epilogue, block * CHANNELS, (planes, sums)))
        return e.function


def _cut(e: Emitter, conv: BitConv, planes: Any) -> None:
    """Write all planes of the image, border and padding included."""
    n, h, w, channels = conv.source.spec.shape
    image = e.flat(e.args[0], n * h * w * channels)
    vectors = channels // STEP
    with e.loop(n * h * w) as pixel:
        for first in range(0, vectors, 8):
            count = min(8, vectors - first)
            at = pixel * channels + first * STEP
            bytes_ = [e.let(e.load(image, at + i * STEP, lanes=STEP)) for i in range(count)]
            width = min(STEP, conv.depth)
            for i in range(conv.source_bits):
                bits = _gather(e, bytes_, i, width // 2)
                e.store(planes, e.part(bits, 0, width, STEP), i, pixel * conv.depth + first * 2, lanes=width)


def _gather(e: Emitter, bytes_: list[Expr], bit: int, vectors: int) -> Expr:
    """Return bit `bit` of 16 bytes in each of `vectors` vectors, eight to a byte; absent vectors are zero."""
    place = e.T.Shuffle(
        [e.T.IntImm("int8", v) for v in (1, 2, 4, 8, 16, 32, 64, -128)] * 2, [e.T.int32(i) for i in range(STEP)]
    )
    chosen, zero = (e.T.broadcast(e.T.IntImm("int8", v), STEP) for v in ((1 << bit) - 256 * (bit == 7), 0))
    level = [e.let(e.T.Select((v & chosen) != zero, place, zero)) for v in bytes_]
    level += [zero] * (vectors - len(level))
    for _ in range(3):
        level += level if len(level) == 1 else []
        level = [e.let(addp(e, level[i], level[i + 1], "int8x16")) for i in range(0, len(level), 2)]
    return level[0]


def _window_sums(e: Emitter, conv: BitConv, planes: Any, sums: Any) -> None:
    """Write the sum of all pixels, over the channels that exist, under every window."""
    rows, columns, _ = conv.spans
    masks = int(np.prod(conv.args[1].shape)) - rows * columns * conv.steps * STEP
    with e.loop(conv.sink.n) as n, e.loop(conv.sink.h) as y, e.loop(conv.sink.w) as x:
        [total] = e.registers(1, 4, "int32")
        total.set(e.splat(e.T.int32(0), 4))
        for i in range(conv.source_bits):
            with e.loop(rows) as row, e.loop(columns) as column, e.loop(conv.steps) as step:
                mask = e.load(e.args[1], masks + ((row * columns + column) * conv.steps + step) * STEP, lanes=STEP)
                at = _byte(conv, (n, *conv.address(y, x, row, column)), step)
                bits = e.load(planes, i, at, lanes=STEP)
                count = uaddlp(e, popcount(e, e.T.reinterpret("uint8x16", bits & mask)), "uint16x8")
                place = e.splat(e.T.int32(_coefficient(i, conv.source_bits)), 4)
                total.set(total.value + e.T.Cast("int32x4", uaddlp(e, count, "uint32x4")) * place)
        words = [e.part(total.value, k, 1, 4) for k in range(4)]
        e.store(sums, words[0] + words[1] + words[2] + words[3], n, y, x)


def _coefficient(plane: int, bits: int) -> int:
    """Return what a bit of `plane` is worth in two's complement."""
    return -(1 << plane) if plane == bits - 1 else 1 << plane


def _byte(conv: BitConv, place: tuple[Expr, Expr, Expr], step: Expr) -> Expr:
    """Return where in a plane step `step` of a span begins that begins at `place` in the source's memory."""
    _, h, w, _ = conv.source.spec.shape
    n, row, column = place
    return ((n * h + row) * w + column) * conv.depth + step * STEP


class _BitTile(LaneTile):
    """One pair of planes after the other."""

    def __init__(
        self, conv: BitConv, e: Emitter, epilogue: Requantizer, channel: Expr, workspace: tuple[Any, Any]
    ) -> None:
        super().__init__(conv, e, epilogue, channel)
        self.bits, (self.planes, self.window_sums) = conv, workspace
        self.pair: tuple[Expr, Expr] = (0, 0)
        self.worth: Expr = None

    def reduce(self, wide: list[list[Register]], n: Expr, y: Expr, x: Expr) -> None:
        """Add the products of every pair of planes."""
        e, conv = self.e, self.bits
        with e.loop(conv.weight_bits) as j, e.loop(conv.source_bits) as i:
            self.pair = (j, i)
            self.worth = e.let(e.splat(self._worth(j, i), 4))
            super().reduce(wide, n, y, x)

    def _worth(self, j: Expr, i: Expr) -> Expr:
        """Return what a product of bits of planes `j` and `i` is worth."""
        e, conv = self.e, self.bits
        value = e.T.shift_left(e.T.int32(1), e.T.int32(0) + j + i)
        value = e.T.Select(e.T.int32(0) + i == conv.source_bits - 1, -value, value)
        if conv.weight_bits == 1:
            return value * 2
        return e.T.Select(e.T.int32(0) + j == conv.weight_bits - 1, -value, value)

    def pixel(self, place: tuple[Expr, Expr, Expr], step: Expr) -> Expr:
        """Load 16 bytes of a plane."""
        return self.e.load(self.planes, self.pair[1], _byte(self.bits, place, step), lanes=STEP)

    def weight(self, position: Expr, channel: int) -> Expr:
        """Load 16 bytes of a plane of weights."""
        rows, columns, _ = self.conv.spans
        plane = rows * columns * self.conv.steps * STEP
        base = self.channel * (self.bits.weight_bits * plane) + self.pair[0] * (plane * CHANNELS)
        return self.e.load(self.weights, base + position * (STEP * CHANNELS) + channel * STEP, lanes=STEP)

    @property
    def lanes(self) -> int:
        """Sixteen counts."""
        return 16

    def multiply(self, total: Expr, pixel: Expr, weight: Expr) -> Expr:
        """Count the bits that both have."""
        return total + self.e.T.reinterpret(
            "int8x16", popcount(self.e, self.e.T.reinterpret("uint8x16", pixel & weight))
        )

    def widened(self, total: Expr) -> Expr:
        """Return counts as four of int32, times what they are worth."""
        shorts = uaddlp(self.e, self.e.T.reinterpret("uint8x16", total), "uint16x8")
        return self.e.T.Cast("int32x4", uaddlp(self.e, shorts, "uint32x4")) * self.worth

    def total(self, sums: list[Register], place: tuple[Expr, Expr, Expr]) -> Expr:
        """Return the sums with bias, less those of the window where weights have one bit."""
        total = super().total(sums, place)
        if self.window_sums is None:
            return total
        return total - self.e.splat(self.e.load(self.window_sums, *place), 4)
