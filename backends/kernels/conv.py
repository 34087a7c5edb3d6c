"""Direct convolution, which is also the matrix product: a 1x1 window over an image of one row.

Goto and van de Geijn's register blocking (2008): `pixels` x `vectors` accumulators stay in registers over the whole
reduction; weights are packed in the order in which they are read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, product
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, Register, emit, pieces, vector_lanes
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands
from galen.backends.kernels.window import Window
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

VECTOR = 4
"""Channels per vector of packed weights; cores with wider registers read several at once."""


@dataclass(frozen=True)
class Tile:
    """Register tile: `pixels` neighbours in a row times `vectors` of output channels."""

    pixels: int
    vectors: int


@dataclass(frozen=True)
class DirectConv(Kernel):
    """Convolution with bias and epilogue. Arguments: image, packed weights, bias, operands of the steps, output.

    Attributes:
        tile: largest register tile; rests of rows and channels use smaller ones.
    """

    source: Image
    sink: Image
    window: Window
    steps: tuple[Step, ...] = ()
    tile: Tile = Tile(6, 4)
    family: ClassVar[str] = "direct"

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, weights `[taps * ci * co]` as `pack_weights` orders them, bias `[co]`, operands, output."""
        weights = Spec((self.window.kh * self.window.kw * self.source.c * self._width,), self.sink.dtype)
        bias = Spec((self._width,), self.sink.dtype)
        return (self.source.spec, weights, bias, *operands(self.steps), self.sink.spec)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolution."""
        taps = self.window.kh * self.window.kw * self.source.c
        return self.sink.n * self.sink.h * self.sink.w * self.sink.c * taps

    @property
    def _width(self) -> int:
        return -(-self.sink.c // VECTOR) * VECTOR

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order `[co, ci, kh, kw]` as blocks of output channels, each `[kh, kw, ci, channels of the block]`."""
        taps = np.zeros((*self._taps, self._width), np.float32)
        taps[..., : self.sink.c] = weights.transpose(2, 3, 1, 0)
        return np.concatenate([taps[..., b.first : b.first + b.width].ravel() for b in self._blocks])

    def pack_bias(self, bias: np.ndarray | None) -> np.ndarray:
        """Extend the bias with zeros to whole vectors."""
        packed = np.zeros(self._width, np.float32)
        if bias is not None:
            packed[: self.sink.c] = bias
        return packed

    @property
    def _taps(self) -> tuple[int, int, int]:
        return self.window.kh, self.window.kw, self.source.c

    @cached_property
    def _blocks(self) -> list["_Block"]:
        step = self.tile.vectors * VECTOR
        starts = range(0, self._width, step)
        return [_Block(c, min(step, self._width - c), min(step, self.sink.channels - c)) for c in starts]

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sum products over all taps, in double precision."""
        image, packed, bias, *others = inputs
        blocks, at = [], 0
        for block in self._blocks:
            size = int(np.prod(self._taps)) * block.width
            blocks.append(packed[at : at + size].reshape(*self._taps, block.width))
            at += size
        weights = np.concatenate(blocks, axis=-1)[..., : self.sink.c].astype(np.float64)
        taps = self.window.taps(self.source, self.sink, image).astype(np.float64)
        value = np.tensordot(taps, weights, 3) + bias[: self.sink.c]
        return [self.sink.place(apply_steps(self.steps, value.astype(np.float32), others))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over images, blocks of channels, rows and tiles of pixels around one register tile."""
        with emit(self.args, target) as e:
            clear_border(e, self.sink, e.args[-1])
            with e.loop(self.sink.n) as n:
                for run in _runs(self._blocks):
                    with e.loop(len(run)) as index:
                        self._rows(e, n, run[0].first + index * run[0].width, run[0])
        return e.function

    def _rows(self, e: Emitter, n: Expr, channel: Expr, block: "_Block") -> None:
        pixels = min(self.tile.pixels, self.sink.w)
        whole, rest = divmod(self.sink.w, pixels)
        with e.loop(self.sink.h) as y:
            with e.loop(whole) as tile:
                _RegisterTile(self, e, channel, block, pixels).emit(n, y, tile * pixels)
            if rest:
                _RegisterTile(self, e, channel, block, rest).emit(n, y, whole * pixels)


@dataclass(frozen=True)
class _Block:
    """Output channels that are computed together, of which `stored` exist in memory."""

    first: int
    width: int
    stored: int


class _RegisterTile:
    """The inner kernel for `pixels` times the channels of `block`, the first of which is `channel`."""

    def __init__(self, conv: DirectConv, e: Emitter, channel: Expr, block: _Block, pixels: int) -> None:
        self.conv, self.e, self.channel, self.block, self.pixels = conv, e, channel, block, pixels
        self.lanes = max(v for v in (4, 8, 16) if v <= e.lanes and block.width % v == 0)
        self.vectors = block.width // self.lanes
        self.image, self.weights, self.bias, *self.others, self.output = e.args
        self.accumulators = e.registers(pixels * self.vectors, self.lanes)

    def emit(self, n: Expr, y: Expr, x: Expr) -> None:
        """Emit initialisation with the bias, reduction and epilogue."""
        for (_, v), register in self._tile():
            register.set(self.e.load(self.bias, self.channel + v * self.lanes, lanes=self.lanes))
        kh, kw, ci = self.conv._taps
        with self.e.loop(kh) as ky, self.e.loop(kw) as kx:
            with self.e.loop(ci // VECTOR) as c:
                if ci >= VECTOR:
                    self._reduce(n, y, x, ky, kx, c * VECTOR, VECTOR)
            if ci % VECTOR:
                self._reduce(n, y, x, ky, kx, ci // VECTOR * VECTOR, ci % VECTOR)
        for (p, v), register in self._tile():
            self._finish((n, y, x + p), v * self.lanes, register.value)

    def _tile(self) -> Iterator[tuple[tuple[int, int], Register]]:
        return zip(product(range(self.pixels), range(self.vectors)), self.accumulators, strict=True)

    def _reduce(self, n: Expr, y: Expr, x: Expr, ky: Expr, kx: Expr, c: Expr, count: int) -> None:
        """Multiply `count` input channels of every pixel with their weights."""
        e, window, source = self.e, self.conv.window, self.conv.source
        row = y * window.sy + ky * window.dy + source.border - window.top
        columns = [(x + p) * window.sx + kx * window.dx + source.border - window.left for p in range(self.pixels)]
        inputs = [self._input(n, row, column, c, count) for column in columns]
        kh, kw, ci = self.conv._taps
        for k in range(count):
            base = self.channel * (kh * kw * ci) + ((ky * kw + kx) * ci + c + k) * self.block.width
            for v in range(self.vectors):
                weight = e.let(e.load(self.weights, base + v * self.lanes, lanes=self.lanes))
                for p in range(self.pixels):
                    register = self.accumulators[p * self.vectors + v]
                    register.set(register.value + inputs[p][k] * weight)

    def _input(self, n: Expr, row: Expr, column: Expr, c: Expr, count: int) -> list[Expr]:
        """Return `count` neighbouring channels of one pixel, each in all lanes."""
        e = self.e
        if e.arm and count == VECTOR:
            vector = e.let(e.load(self.image, n, row, column, c, lanes=count))
            return [e.lane(vector, k, self.lanes) for k in range(count)]
        scalars = [e.let(e.load(self.image, n, row, column, c + k)) for k in range(count)]
        return [e.splat(scalar, self.lanes) for scalar in scalars]

    def _finish(self, pixel: tuple[Expr, Expr, Expr], offset: int, value: Expr) -> None:
        """Apply the steps to one vector of results and write what of it exists in memory."""
        e, sink = self.e, self.conv.sink
        n, y, x = pixel
        for start, lanes in pieces(min(self.block.stored - offset, self.lanes), self.lanes):
            at = self.channel + offset + start
            part = e.part(value, start, lanes, self.lanes)
            result = emit_steps(e, self.conv.steps, self.others, part, (n, y, x, at), lanes)
            e.store(self.output, result, n, y + sink.border, x + sink.border, at, lanes=lanes)


def _runs(blocks: list[_Block]) -> list[list[_Block]]:
    """Group neighbouring blocks of one form, so that one loop serves them."""
    return [list(run) for _, run in groupby(blocks, lambda block: (block.width, block.stored))]


def best_tile(channels: int, columns: int, target: Target) -> Tile:
    """Return the register tile that needs the fewest instructions per multiply-accumulate for this shape."""
    registers = 32 if target.triple.startswith("aarch64") or target.has("avx512f") else 16
    wide = max(1, vector_lanes(target) // VECTOR)

    def cost(tile: Tile) -> float:
        vectors = -(-channels // VECTOR)
        total = 0.0
        for width in [tile.vectors] * (vectors // tile.vectors) + [vectors % tile.vectors]:
            for pixels in [tile.pixels] * (columns // tile.pixels) + [columns % tile.pixels]:
                if width and pixels:
                    total += 4 * width * pixels + pixels + 2 * width + 4
        return total

    tiles = [
        Tile(p, v * wide)
        for v in range(1, 9)
        for p in range(1, 17)
        if p * v + p + 2 <= registers and p * v * wide * 16 < 1024
    ]
    return min(tiles, key=cost)
