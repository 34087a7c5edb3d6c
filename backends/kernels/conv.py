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
from galen.backends.kernels.registers import Block, RegisterTile, Tile, blocks, padded, runs, vector
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
        groups: each reads its share of the input channels and writes its share of the output channels.
    """

    source: Image
    sink: Image
    window: Window
    steps: tuple[Step, ...] = ()
    tile: Tile = TILE
    groups: int = 1
    family: ClassVar[str] = "direct"

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, weights `[taps * ci * co]` as `pack_weights` orders them, bias `[co]`, operands, output."""
        weights = Spec((prod(self.taps) * self.groups * self.width,), self.source.dtype)
        bias = Spec((self.groups * self.width,), self.source.dtype)
        return (self.source.spec, weights, bias, *operands(self.steps), self.sink.spec)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolution."""
        return self.sink.n * self.sink.h * self.sink.w * self.sink.c * prod(self.taps)

    @property
    def channels(self) -> int:
        """Output channels of one group."""
        return self.sink.c // self.groups

    @property
    def unit(self) -> int:
        """Channels per vector."""
        return vector(self.source.dtype)

    @property
    def width(self) -> int:
        """Packed output channels of one group."""
        return padded(self.channels, self.unit)

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order `[co, ci / groups, kh, kw]` as blocks of channels, each `[kh, kw, ci, channels of the block]`."""
        depth = prod(self.taps)
        packed = np.zeros((self.groups, depth * self.width), self.source.dtype)
        for group, own in zip(packed, np.split(weights, self.groups), strict=True):
            for b in self._blocks:
                part = own[b.first : b.first + b.width]
                block = group[b.first * depth : (b.first + b.width) * depth].reshape(*self.taps, b.width)
                block[..., : len(part)] = part.transpose(2, 3, 1, 0)
        return packed.ravel()

    def pack_bias(self, bias: np.ndarray | None) -> np.ndarray:
        """Extend the bias of every group with zeros to whole vectors."""
        packed = np.zeros((self.groups, self.width), self.source.dtype)
        if bias is not None:
            packed[:, : self.channels] = bias.reshape(self.groups, -1)
        return packed.ravel()

    @property
    def taps(self) -> tuple[int, int, int]:
        """Rows, columns and channels that every output reads."""
        return self.window.kh, self.window.kw, self.source.c // self.groups

    @property
    def _blocks(self) -> list[Block]:
        """The output channels of a group; a single one writes the padding channels, too."""
        stored = self.sink.channels if self.groups == 1 else self.channels
        return blocks(self.channels, stored, self.tile, self.unit)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Sum products over all taps, in double precision."""
        image, packed, bias, *others = inputs
        taps = np.split(self.window.taps(self.source, self.sink, image).astype(np.float64), self.groups, axis=-1)
        parts = zip(taps, np.split(packed, self.groups), np.split(bias, self.groups), strict=True)
        products = [np.tensordot(t, self._unpack(w), 3) + b[: self.channels] for t, w, b in parts]
        value = np.concatenate(products, axis=-1)
        return [self.sink.place(apply_steps(self.steps, value.astype(np.float32), others))]

    def _unpack(self, packed: np.ndarray) -> np.ndarray:
        """Return the weights of one group `[kh, kw, ci, co]`."""
        ends = np.cumsum([prod(self.taps) * block.width for block in self._blocks])[:-1]
        parts = zip(np.split(packed, ends), self._blocks, strict=True)
        whole = np.concatenate([part.reshape(*self.taps, b.width) for part, b in parts], axis=-1)
        return whole[..., : self.channels].astype(np.float64)

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over images, blocks of channels, rows and tiles of pixels around one register tile."""
        with emit(self.args, target) as e:
            clear_border(e, self.sink, e.args[-1])
            with e.loop(self.sink.n) as n, e.loop(self.groups) as group:
                for run in runs(self._blocks):
                    with e.loop(len(run)) as index:
                        self._rows(e, n, (group, run[0].first + index * run[0].width), run[0])
        return e.function

    def _rows(self, e: Emitter, n: Expr, channel: tuple[Expr, Expr], block: Block) -> None:
        pixels = min(self.tile.rows, self.sink.w)
        whole, rest = divmod(self.sink.w, pixels)
        with e.parallel(self.sink.h) as y:
            with e.loop(whole) as tile:
                _Pixels(self, e, channel, block, pixels).emit(n, y, tile * pixels)
            if rest:
                _Pixels(self, e, channel, block, rest).emit(n, y, whole * pixels)


@dataclass(frozen=True)
class _Pixels:
    """`count` neighbouring output pixels times the channels of `block`, the first of which is (group, `channel`)."""

    conv: DirectConv
    e: Emitter
    channel: tuple[Expr, Expr]
    block: Block
    count: int

    def emit(self, n: Expr, y: Expr, x: Expr) -> None:
        """Emit initialisation with the bias, reduction and epilogue for the pixels from `x` on."""
        e, (kh, kw, ci) = self.e, self.conv.taps
        tile = RegisterTile(e, self.count, self.block.width, kh * kw * ci, self.conv.source.dtype)
        tile.set(lambda offset: e.load(e.args[2], self._packed + offset, lanes=tile.lanes))
        with e.loop(kh) as ky, tile.part(kw * ci), e.loop(kw) as kx:
            tile.reduce(ci, lambda c, count: self._reduce(tile, (n, y, x), (ky, kx, c), count))
        for p, offset, result in tile:
            self._finish((n, y, x + p), offset, result, tile.lanes)

    @property
    def _packed(self) -> Expr:
        """Where the first channel's bias is, and its weights after as many channels."""
        group, channel = self.channel
        return group * self.conv.width + channel

    def _reduce(self, tile: RegisterTile, pixel: tuple[Expr, ...], tap: tuple[Expr, ...], count: int) -> None:
        """Multiply `count` input channels of every pixel with their weights."""
        e, window, border = self.e, self.conv.window, self.conv.source.border
        (n, y, x), (ky, kx, c), (kh, kw, ci) = pixel, tap, self.conv.taps
        row = y * window.sy + ky * window.dy + border - window.top
        column = x * window.sx + kx * window.dx + border - window.left
        read = tile.scalars if self.conv.groups > 1 and count < self.conv.unit else tile.spread
        first = self.channel[0] * ci + c
        inputs = [read(e.args[0], (n, row, column + p * window.sx, first), count) for p in range(self.count)]
        base = self._packed * (kh * kw * ci) + ((ky * kw + kx) * ci + c) * self.block.width

        def weight(k: int, offset: int) -> Expr:
            return e.load(e.args[1], base + (k * self.block.width + offset), lanes=tile.lanes)

        tile.update(inputs, weight)

    def _finish(self, pixel: tuple[Expr, ...], offset: int, value: Expr, of: int) -> None:
        """Apply the steps to a vector of `of` results and write what of it exists in memory."""
        e, sink = self.e, self.conv.sink
        n, y, x = pixel
        for start, lanes in pieces(min(self.block.stored - offset, of), of):
            at = self.channel[0] * self.conv.channels + self.channel[1] + offset + start
            result = e.part(value, start, lanes, of)
            result = emit_steps(e, self.conv.steps, e.args[3:-1], result, (n, y, x, at), lanes=lanes)
            e.store(e.args[-1], result, n, y + sink.border, x + sink.border, at, lanes=lanes)
