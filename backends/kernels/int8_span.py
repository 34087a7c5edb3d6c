"""Convolution that reduces over spans: taps that are neighbours in memory.

Images have channels in multiples of 16 in memory. With no dilation along a row, the taps of one window row are
neighbours, so the reduction runs over spans of `kw * channels` bytes, 16 at a time.

Of a grouped convolution, as many groups as begin and end at multiples of 16 channels are taken together, with zeros
between them: output channels read the part of a pixel that these groups do.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from math import gcd, lcm, prod
from typing import TYPE_CHECKING, Protocol

import numpy as np

from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.int8_conv import STEP, Int8Conv, clear_padding, split
from galen.backends.kernels.requantize import Requantizer
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


UNROLLED, PIECE = 9, 4
"""Steps up to which a whole reduction is one piece of code (leaving a loop costs a third of a step), and in a loop."""


@dataclass(frozen=True)
class SpanConv(Int8Conv):
    """Loops around a register tile, which subclasses generate.

    Attributes:
        groups: of the convolution; weights are `[co, ci / groups, kh, kw]`.
    """

    groups: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if self.parts * self.part[0] > self.source.channels or self.parts * self.part[1] > self.sink.channels:
            raise ValueError(f"{self.groups} groups do not fit the channels in memory")

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """`[co, ci / groups, kh, kw]` as in the model."""
        return self.sink.c, self.source.c // self.groups, self.window.kh, self.window.kw

    @property
    def together(self) -> int:
        """Groups that are taken together."""
        return together(self.groups, self.source.c, self.sink.c)

    @property
    def part(self) -> tuple[int, int]:
        """Channels in memory that groups taken together read and write."""
        if self.together == self.groups:
            return self.source.channels, self.sink.channels
        return self.together * self.source.c // self.groups, self.together * self.sink.c // self.groups

    @property
    def parts(self) -> int:
        """How often groups are taken together."""
        return -(-self.groups // self.together)

    def first(self, channel: Expr) -> Expr:
        """Return the first input channel that output `channel` reads."""
        return channel // self.part[1] * self.part[0] if self.parts > 1 else 0

    @abstractmethod
    def tile(self, e: Emitter, epilogue: Requantizer, channel: Expr, width: int) -> "Tile":
        """Return the generator of register tiles for `width` output channels from `channel`."""

    def width(self, e: Emitter) -> int:  # noqa: ARG002
        """Return how many output channels are computed together."""
        return STEP

    def lanes(self, e: Emitter) -> int:  # noqa: ARG002
        """Return how many int32 are in a vector of sums."""
        return 4

    @property
    def spans(self) -> tuple[int, int, int]:
        """Runs of taps that are neighbours in memory: per window row, per column, and the bytes of each."""
        if self.window.dx == 1 and self.parts == 1:
            return self.window.kh, 1, self.window.kw * self.source.channels
        return self.window.kh, self.window.kw, self.part[0]

    @property
    def steps(self) -> int:
        """Steps of 16 bytes in a span."""
        return -(-self.spans[2] // STEP)

    def pack_spans(self, weights: np.ndarray) -> np.ndarray:
        """Return `[channels in memory, kh, columns, steps * 16]` with zeros where there is nothing to multiply."""
        rows, columns, span = self.spans
        width = self.sink.channels
        taps = np.zeros((width, self.window.kh, self.window.kw, self.part[0]), np.int8)
        for outputs, inputs in self._blocks():
            taps[outputs, ..., inputs] = weights[outputs].transpose(0, 2, 3, 1)
        return np.pad(taps.reshape(width, rows, columns, span), [(0, 0)] * 3 + [(0, self.steps * STEP - span)])

    def unpack_spans(self, spans: np.ndarray) -> np.ndarray:
        """Undo `pack_spans`."""
        taps = spans[..., : self.spans[2]].reshape(self.sink.channels, self.window.kh, self.window.kw, -1)
        blocks = [taps[outputs, ..., inputs].transpose(0, 3, 1, 2) for outputs, inputs in self._blocks()]
        return np.concatenate(blocks)

    def _blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yield every group's output channels, and its input channels among those that are taken together."""
        outputs, inputs, _, _ = self.weight_shape
        outputs //= self.groups
        for group in range(self.groups):
            at = group % self.together * inputs
            yield slice(group * outputs, (group + 1) * outputs), slice(at, at + inputs)

    def sums(self, taps: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return int32 `[n, h, w, co]` of taps `[n, h, w, kh, kw, ci]` and weights `[co, ci / groups, kh, kw]`."""
        each = zip(np.split(taps, self.groups, -1), np.split(weights, self.groups), strict=True)
        return np.concatenate([super(SpanConv, self).sums(*pair) for pair in each], -1)

    def address(self, y: Expr, x: Expr, row: Expr, column: Expr) -> tuple[Expr, Expr]:
        """Return row and column in the source's memory where a span of output pixel `(y, x)` begins."""
        w, b = self.window, self.source.border
        return y * w.sy + row * w.dy + b - w.top, x * w.sx + column * w.dx + b - w.left

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over blocks of channels, images, rows and tiles of pixels around one register tile."""
        with emit(self.args, target) as e:
            epilogue = Requantizer(e, self.sink, self.addend, e.args[3:], self.lanes(e))
            clear_border(e, self.sink, e.args[-1], epilogue.border)
            used = -(-self.sink.c // self.lanes(e)) * self.lanes(e)
            clear_padding(e, self.sink, e.args[-1], epilogue.border, used)
            for first, count, width in split(used, min(self.width(e), self.part[1])):
                with e.loop(count) as index:
                    self.rows(e, self.tile(e, epilogue, first + index * width, width))
        return e.function

    def rows(self, e: Emitter, tile: "Tile") -> None:
        """Emit the loops over images, rows and tiles of pixels."""
        with e.loop(self.sink.n) as n, e.loop(self.sink.h) as y:
            for first, count, pixels in split(self.sink.w, min(tile.pixels, self.sink.w)):
                with e.loop(count) as index:
                    tile.emit(n, y, first + index * pixels, pixels)


def together(groups: int, inputs: int, outputs: int) -> int:
    """Return how many groups of a convolution must be taken together, all of them where the last would be too few."""
    if groups == 1:
        return 1
    count = lcm(*(STEP // gcd(STEP, channels // groups) for channels in (inputs, outputs)))
    parts = -(-groups // count)
    fits = all(parts * count * channels // groups <= -(-channels // STEP) * STEP for channels in (inputs, outputs))
    return count if fits and count < groups else groups


def reduce(e: Emitter, extents: tuple[int, int, int], step: Callable[[Expr, Expr, Expr], None]) -> None:
    """Emit `step(row, column, step)` for all of them, without loops where they are few."""
    if prod(extents) <= UNROLLED:
        for place in product(*map(range, extents)):
            step(*place)
        return
    rows, columns, steps = extents
    with e.loop(rows) as row, e.loop(columns) as column:
        for first, count, size in split(steps, min(steps, PIECE)):
            with e.loop(count) as index:
                for at in range(size):
                    step(row, column, first + index * size + at)


class Tile(Protocol):
    """A register tile: some neighbouring pixels times some output channels.

    Attributes:
        pixels: the most that it takes at once.
    """

    pixels: int

    def emit(self, n: Expr, y: Expr, x: Expr, pixels: int) -> None:
        """Emit initialisation, reduction and epilogue for output pixels from `(n, y, x)`."""
