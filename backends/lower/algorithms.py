"""Which kernel computes a convolution: the one with the lowest estimated time on the target's core.

The estimate in cycles is a roofline (Williams et al. 2009): instructions / `ISSUE`, or the bytes of packed weights over
the memory bandwidth where that takes longer: weights are read once per inference, in order, and do not stay in the
caches of a small core from one inference to the next.
Instructions are counted from the shape of the generated code (`registers.tile_cost` and the operation counts of the
transforms).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.conv import DirectConv
from galen.backends.kernels.depthwise import DepthwiseConv
from galen.backends.kernels.registers import PAIRED, SINGLE, Tile, best_tile, tile_cost, vector
from galen.backends.kernels.steps import Step
from galen.backends.kernels.toom_cook import strided
from galen.backends.kernels.window import Window
from galen.backends.kernels.winograd import TAPS, WinogradConv
from galen.backends.target import Target

ISSUE = 1.4
"""Instructions per cycle of a NEON-bound loop (Cortex-A72, `notes`: 92 instructions in 64 cycles)."""
TRANSFORM = {(2, 1): (52, 40), (4, 1): (290, 200), (6, 1): (560, 440), (2, 2): (130, 80), (4, 2): (500, 330)}
"""(m, stride) -> instructions per tile and vector of channels of the input and the output transform; measured."""
IN_HALF = frozenset(((2, 1), (2, 2)))
"""The same in fp16: the error of a random layer of 64 channels, relative to the spread of its results (root of the mean
square), is 0.0018 for m = 2, hardly more than that of direct sums; it would be 0.010 for m = 4 and 0.021 for m = 6."""
MAX_BAND = 48
"""Tiles per band of a Winograd convolution; more would leave the cache between the stages."""


class Packed(Protocol):
    """What the convolution kernels have in common."""

    @property
    def args(self) -> tuple[Spec, ...]:
        """See `Kernel.args`."""

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order `[co, ci, kh, kw]` as the kernel reads it."""

    def pack_bias(self, bias: np.ndarray | None) -> np.ndarray:
        """Order `[co]` as the kernel reads it."""


@dataclass(frozen=True)
class Problem:
    """A convolution as the graph defines it."""

    n: int
    source: tuple[int, int]
    sink: tuple[int, int]
    inputs: int
    outputs: int
    window: Window
    groups: int = 1
    dtype: str = "float32"

    @property
    def itemsize(self) -> int:
        """Bytes of a weight."""
        return np.dtype(self.dtype).itemsize

    @property
    def unit(self) -> int:
        """Channels per vector of packed weights."""
        return vector(self.dtype)


@dataclass(frozen=True)
class Algorithm:
    """A way to compute it: estimated cycles, border it needs around its input, and the kernel."""

    cycles: float
    border: int
    kernel: Callable[[Image, Image, tuple[Step, ...]], "DirectConv | DepthwiseConv | WinogradConv"]


def choose(problem: Problem, target: Target) -> Algorithm:
    """Return the fastest algorithm by estimate."""
    if 1 < problem.groups == problem.inputs == problem.outputs:
        return _depthwise(problem)
    if problem.groups > 1:
        return _direct(problem, target)
    return min((_direct(problem, target), *_winograds(problem, target)), key=lambda a: a.cycles)


def _depthwise(problem: Problem) -> Algorithm:
    window = problem.window
    border = window.border(problem.source, problem.sink)
    return Algorithm(0, border, lambda source, sink, steps: DepthwiseConv(source, sink, window, steps))


def _direct(problem: Problem, target: Target) -> Algorithm:
    window, (h, w) = problem.window, problem.sink
    groups, outputs, unit = problem.groups, problem.outputs // problem.groups, problem.unit
    tile = best_tile(outputs, w, target, unit=unit, depth=problem.inputs // groups)
    taps = window.kh * window.kw * problem.inputs
    instructions = problem.n * h * tile_cost(outputs, w, tile, unit=unit) * taps / unit
    cycles = max(instructions / ISSUE, _traffic(taps * outputs, problem, target))
    border = window.border(problem.source, problem.sink)

    def kernel(source: Image, sink: Image, steps: tuple[Step, ...]) -> DirectConv:
        return DirectConv(source, sink, window, steps, tile, groups)

    return Algorithm(cycles, border, kernel)


def _winograds(problem: Problem, target: Target) -> Iterator[Algorithm]:
    window = problem.window
    if (window.kh, window.kw, window.dy, window.dx) != (TAPS, TAPS, 1, 1) or window.sy != window.sx:
        return
    for m, stride in TRANSFORM:
        if stride == window.sx and (problem.dtype == "float32" or (m, stride) in IN_HALF):
            yield _winograd(problem, m, target)


def _winograd(problem: Problem, m: int, target: Target) -> Algorithm:
    window, (h, w) = problem.window, problem.sink
    stride = window.sx
    rows, columns, points = -(-h // m), -(-w // m), len(strided(m, TAPS, stride)[1]) ** 2
    load = PAIRED if target.triple.startswith("aarch64") else SINGLE
    weights, unit = points * problem.inputs * problem.outputs, problem.unit
    before, after = TRANSFORM[m, stride]
    transforms = (before * problem.inputs + after * problem.outputs) / unit

    def tile_of(tiles: int) -> Tile:
        return best_tile(problem.outputs, tiles, target, load=load, unit=unit)

    def cost(band: int) -> float:
        """Return the cycles of one image in bands of that many rows; each reads weights that the cache cannot keep."""
        tiles = band * columns
        products = tile_cost(problem.outputs, tiles, tile_of(tiles), load, unit)
        instructions = rows / band * (products * points * problem.inputs / unit + tiles * transforms)
        passes = rows // band if weights * problem.itemsize > target.cache else 1
        return max(instructions / ISSUE, passes * _traffic(weights, problem, target))

    bands = [b for b in range(1, rows + 1) if rows % b == 0 and (b == 1 or b * columns <= MAX_BAND)]
    band = min(bands, key=cost)
    tile = tile_of(band * columns)

    def kernel(source: Image, sink: Image, steps: tuple[Step, ...]) -> WinogradConv:
        return WinogradConv(source, sink, window.top, window.left, steps, m, band, tile, stride)

    whole = (rows * m, columns * m)
    border = max(window.border(problem.source, problem.sink), window.border(problem.source, whole))
    return Algorithm(problem.n * cost(band), border, kernel)


def _traffic(weights: int, problem: Problem, target: Target) -> float:
    """Return the cycles in which that many weights come from memory."""
    return weights * problem.itemsize * target.frequency_hz / target.bandwidth
