"""Direct convolution, which is also the matrix product: a 1x1 window over an image of one row.

A register tile covers neighbouring pixels of a row times a block of output channels; weights are packed in the order in
which they are read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit, pieces
from galen.backends.kernels.registers import Block, RegisterTile, Tile, blocks, padded, reduction, runs
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands
from galen.backends.kernels.window import Window
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

TILE = Tile(6, 4)
"""24 accumulators, 6 inputs, 2 weights: all 32 registers of an ARM core."""


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
    tile: Tile = TILE
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
        return padded(self.sink.c)

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order `[co, ci, kh, kw]` as blocks of output channels, each `[kh, kw, ci, channels of the block]`."""
        depth = prod(self.taps)
        packed = np.zeros(depth * self._width, np.float32)
        for b in self._blocks:
            part = weights[b.first : b.first + b.width]
            block = packed[b.first * depth : (b.first + b.width) * depth].reshape(*self.taps, b.width)
            block[..., : len(part)] = part.transpose(2, 3, 1, 0)
        return packed

    def pack_bias(self, bias: np.ndarray | None) -> np.ndarray:
        """Extend the bias with zeros to whole vectors."""
        packed = np.zeros(self._width, np.float32)
        if bias is not None:
            packed[: self.sink.c] = bias
        return packed

    @property
    def taps(self) -> tuple[int, int, int]:
        """Rows, columns and channels that every output reads."""
        return self.window.kh, self.window.kw, self.source.c

    @property
    def _blocks(self) -> list[Block]:
        return blocks(self.sink.c, self.sink.channels, self.tile)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sum products over all taps, in double precision."""
        image, packed, bias, *others = inputs
        blocks, at = [], 0
        for block in self._blocks:
            size = int(np.prod(self.taps)) * block.width
            blocks.append(packed[at : at + size].reshape(*self.taps, block.width))
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
                for run in runs(self._blocks):
                    with e.loop(len(run)) as index:
                        self._rows(e, n, run[0].first + index * run[0].width, run[0])
        return e.function

    def _rows(self, e: Emitter, n: Expr, channel: Expr, block: Block) -> None:
        pixels = min(self.tile.rows, self.sink.w)
        whole, rest = divmod(self.sink.w, pixels)
        with e.parallel(self.sink.h) as y:
            with e.loop(whole) as tile:
                _Pixels(self, e, channel, block, pixels).emit(n, y, tile * pixels)
            if rest:
                _Pixels(self, e, channel, block, rest).emit(n, y, whole * pixels)


@dataclass(frozen=True)
class _Pixels:
    """`count` neighbouring output pixels times the channels of `block`, the first of which is `channel`."""

    conv: DirectConv
    e: Emitter
    channel: Expr
    block: Block
    count: int

    def emit(self, n: Expr, y: Expr, x: Expr) -> None:
        """Emit initialisation with the bias, reduction and epilogue for the pixels from `x` on."""
        e, (kh, kw, ci) = self.e, self.conv.taps
        tile = RegisterTile(e, self.count, self.block.width)
        tile.set(lambda offset: e.load(e.args[2], self.channel + offset, lanes=tile.lanes))
        with e.loop(kh) as ky, e.loop(kw) as kx:
            reduction(e, ci, lambda c, count: self._reduce(tile, (n, y, x), (ky, kx, c), count))
        for p, offset, register in tile:
            self._finish((n, y, x + p), offset, register.value, tile.lanes)

    def _reduce(self, tile: RegisterTile, pixel: tuple[Expr, ...], tap: tuple[Expr, ...], count: int) -> None:
        """Multiply `count` input channels of every pixel with their weights."""
        e, window, border = self.e, self.conv.window, self.conv.source.border
        (n, y, x), (ky, kx, c), (kh, kw, ci) = pixel, tap, self.conv.taps
        row = y * window.sy + ky * window.dy + border - window.top
        column = x * window.sx + kx * window.dx + border - window.left
        inputs = [tile.spread(e.args[0], (n, row, column + p * window.sx, c), count) for p in range(self.count)]
        base = self.channel * (kh * kw * ci) + ((ky * kw + kx) * ci + c) * self.block.width

        def weight(k: int, offset: int) -> Expr:
            return e.load(e.args[1], base + (k * self.block.width + offset), lanes=tile.lanes)

        tile.update(inputs, weight)

    def _finish(self, pixel: tuple[Expr, ...], offset: int, value: Expr, of: int) -> None:
        """Apply the steps to a vector of `of` results and write what of it exists in memory."""
        e, sink = self.e, self.conv.sink
        n, y, x = pixel
        for start, lanes in pieces(min(self.block.stored - offset, of), of):
            at = self.channel + offset + start
            result = e.part(value, start, lanes, of)
            result = emit_steps(e, self.conv.steps, e.args[3:-1], result, (n, y, x, at), lanes=lanes)
            e.store(e.args[-1], result, n, y + sink.border, x + sink.border, at, lanes=lanes)
