"""Which kernel computes a quantized convolution: the fastest, by counted instructions and their cost on the core.

Instructions are those of the compiled inner loops. What one costs is modelled (`benchmarks/int8_cycles.py`):
multiplications share a pipe on out-of-order cores, logic does not; an in-order core waits for loads. Among kernels
whose times the model cannot tell apart, the one with the fewest instructions is taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.int8_bits import BitConv
from galen.backends.kernels.int8_conv import STEP, Int8Conv
from galen.backends.kernels.int8_dot import DotConv
from galen.backends.kernels.int8_lanes import LaneConv, room
from galen.backends.kernels.int8_long import LongConv
from galen.backends.kernels.int8_matrix import MatrixConv
from galen.backends.kernels.int8_span import SpanConv
from galen.backends.kernels.int8_transforms import SIDE
from galen.backends.kernels.int8_winograd import WinogradConv, blocks, fits
from galen.backends.kernels.requantize import Addend
from galen.backends.kernels.window import Window
from galen.backends.target import Target

IN_ORDER = ("cortex-a53", "cortex-a55")
CYCLES = {
    DotConv: (0.6, 0.43),
    MatrixConv: (0.6, 0.43),
    LongConv: (2.35, 0.88),
    BitConv: (1.3, 0.64),
    WinogradConv: (1.25, 0.75),
}
"""Cycles per instruction on in-order and on out-of-order cores."""

LANE_CYCLES = {16: (1.35, 0.9), 8: (1.7, 1.65)}
"""The same for `LaneConv`: multiplications of bytes into bytes take two cycles."""

STREAM = 0.3
"""Cycles per byte of weights that no cache holds."""

_SAME = 1.2
"""Times that differ by less are the same to the model (its worst error on boards is larger)."""

_ROOM = 4
"""Fewer products in a lane than this are not worth a kernel of their own."""


def weight_width(weights: np.ndarray) -> int:
    """Return the fewest bits for symmetric int8 weights: 1 for -1 and +1, else b with `|w| <= 2^(b-1) - 1`."""
    if np.all(np.abs(weights) == 1):
        return 1
    return int(np.abs(weights.astype(np.int32)).max(initial=1)).bit_length() + 1


def pixel_width(low: int, high: int) -> int:
    """Return the fewest bits for integers from `low` to `high` in two's complement."""
    return max((-low - 1 if low < 0 else low).bit_length(), (high if high >= 0 else -high - 1).bit_length()) + 1


Shape = tuple[Image, Image, Window, Addend | None]
"""Source, sink, window and what is added."""


@dataclass(frozen=True)
class Filters:
    """Weights of a convolution.

    Attributes:
        weights: int8 `[co, ci / groups, kh, kw]`.
    """

    weights: np.ndarray
    groups: int = 1

    def packed(self, kernel: Int8Conv) -> np.ndarray:
        """Return the weights as `kernel` reads them; those of several groups as one where it knows no groups."""
        whole = self.weights if self.weights.shape == kernel.weight_shape else self._ungrouped()
        return kernel.pack_weights(np.ascontiguousarray(whole))

    def _ungrouped(self) -> np.ndarray:
        """Return the weights of one group, with zeros between those of different groups."""
        size = self.weights.shape[1]
        around = [[(0, 0), (g * size, (self.groups - 1 - g) * size), (0, 0), (0, 0)] for g in range(self.groups)]
        blocks = zip(np.split(self.weights, self.groups), around, strict=True)
        return np.concatenate([np.pad(block, zeros) for block, zeros in blocks])


def choose(target: Target, shape: Shape, filters: Filters, pixel_bits: int) -> Int8Conv:
    """Return the kernel for a convolution of integers.

    Args:
        pixel_bits: width of the source's integers, zero point included.
    """
    kernels = list(_candidates(target, shape, filters, pixel_bits))
    times = [cycles(kernel, target) for kernel in kernels]
    fast = [kernel for kernel, time in zip(kernels, times, strict=True) if time <= _SAME * min(times)]
    return min(fast, key=instructions)


def cycles(kernel: Int8Conv, target: Target) -> float:
    """Return roughly how many cycles `kernel` takes."""
    factors = LANE_CYCLES[kernel.lane] if type(kernel) is LaneConv else CYCLES[type(kernel)]
    size = kernel.args[1].nbytes
    streamed = size * STREAM if size > max(target.caches.values(), default=0) else 0
    return instructions(kernel) * factors[target.pipeline not in IN_ORDER] + streamed


def _candidates(target: Target, shape: Shape, filters: Filters, pixel_bits: int) -> Iterator[Int8Conv]:
    source, sink, window, _ = shape
    groups = filters.groups
    bits = weight_width(filters.weights), pixel_bits
    if target.has("dotprod") or target.has("avx512vnni"):
        yield DotConv(*shape, groups=groups)
    else:
        yield LongConv(*shape, groups=groups)
    if target.has("i8mm"):
        yield MatrixConv(*shape, groups=groups)
    if not target.triple.startswith("aarch64") or source.lanes != STEP:
        return
    if bits[0] > 1 or groups == 1:  # the zeros between groups have no bit
        yield BitConv(*shape, 8, *bits)
    if target.has("dotprod"):
        return
    yield from (LaneConv(*shape, lane, *bits, groups=groups) for lane in (8, 16) if room(lane, *bits) >= _ROOM)
    square = (window.kh, window.kw, window.sy, window.sx, window.dy, window.dx) == (3, 3, 1, 1, 1, 1)
    if square and min(sink.h, sink.w) >= SIDE and fits(filters.weights):
        yield WinogradConv(*shape)


def instructions(kernel: Int8Conv) -> float:
    """Return roughly how many instructions `kernel` takes, those of the requantization only for Winograd."""
    sink = kernel.sink
    if isinstance(kernel, WinogradConv):
        return prod(kernel.grid) * _per_tile(kernel)
    if not isinstance(kernel, SpanConv):
        raise TypeError(f"no estimate for {type(kernel).__name__}")
    rows, columns, _ = kernel.spans
    steps = rows * columns * kernel.steps
    if isinstance(kernel, MatrixConv):
        return sink.n * sink.h * -(-sink.c // STEP) * steps * kernel.row_instructions
    blocks = sink.n * sink.h * -(-sink.w // 4) * -(-sink.c // 4)
    return blocks * _per_block(kernel, steps)


def _per_tile(kernel: WinogradConv) -> float:
    """Return the instructions for a tile: transforms, products and loads of weights, shared by tiles of a group."""
    ci, vectors = kernel.source.c, -(-kernel.sink.c // 4)
    group = min(blocks(kernel.sink.c)[0].tiles, prod(kernel.grid))
    per_point = ci * vectors * (1 + 0.5 / group) + ci / 8 + vectors
    return 36 * per_point + 260 * -(-ci // 8) + (400 if kernel.addend else 230) * vectors


def _per_block(kernel: SpanConv, steps: int) -> float:
    """Return the instructions of the reduction over `steps` for four pixels and four channels."""
    if isinstance(kernel, BitConv):
        pairs = kernel.weight_bits * kernel.source_bits
        return pairs * (57 * steps + 100 * -(-steps // kernel.chunk)) + 30
    if isinstance(kernel, LaneConv):
        widenings = 1 if steps <= kernel.chunk else -(-steps // min(kernel.chunk, kernel.steps))
        return (21 if kernel.lane == 8 else 38) * steps + (64 if kernel.lane == 8 else 48) * widenings
    return (20 if isinstance(kernel, DotConv) else 57) * steps
