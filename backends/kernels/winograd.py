"""Convolution 3x3 with stride 1 or 2 by Winograd's minimal filtering F(m x m, 3 x 3).

Lavin and Gray (2016). For a band of output tiles at a time: transform the inputs, multiply one matrix per point of
tiles x channels with the transformed weights, transform back, and apply the epilogue. Relative error against direct
convolution: about 1e-6 for m = 2, 1e-5 for m = 4, 1e-4 for m = 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.linear import apply_matrix
from galen.backends.kernels.registers import Block, RegisterTile, Tile, blocks, padded, runs, vector
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands
from galen.backends.kernels.toom_cook import strided
from galen.backends.kernels.window import Window
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

TAPS = 3


@dataclass(frozen=True)
class WinogradConv(Kernel):
    """Convolution with bias and epilogue. Arguments as for `DirectConv`, with transformed weights.

    Attributes:
        top, left: padding; the source's border must reach to the end of the last tile.
        m: rows and columns of an output tile.
        band: rows of tiles that are transformed together; they share one pass over the weights.
        tile: register tile of the matrix products.
    """

    source: Image
    sink: Image
    top: int
    left: int
    steps: tuple[Step, ...]
    m: int
    band: int
    tile: Tile
    stride: int = 1

    @property
    def family(self) -> str:  # type: ignore[override]
        """`winograd-4x4` for m = 4, `winograd-4x4-s2` with stride 2."""
        return f"winograd-{self.m}x{self.m}" + (f"-s{self.stride}" if self.stride > 1 else "")

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, weights as `pack_weights` orders them, bias `[points, co]`, operands, output."""
        weights = Spec((self._points**2 * self.source.c * self.width,), self.source.dtype)
        bias = Spec((self._points**2, self.width), self.source.dtype)
        return (self.source.spec, weights, bias, *operands(self.steps), self.sink.spec)

    @property
    def unit(self) -> int:
        """Channels per vector."""
        return vector(self.source.dtype)

    @property
    def width(self) -> int:
        """Packed output channels."""
        return padded(self.sink.c, self.unit)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolution, not of this algorithm."""
        return self.sink.n * self.sink.h * self.sink.w * self.sink.c * self.source.c * TAPS**2

    @property
    def matrices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The transforms of outputs, weights and inputs."""
        return strided(self.m, TAPS, self.stride)

    @property
    def _points(self) -> int:
        return len(self.matrices[1])

    @property
    def _tiles(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.sink.h // self.m), -(-self.sink.w // self.m)

    @property
    def _blocks(self) -> list[Block]:
        return blocks(self.sink.c, self.sink.channels, self.tile, self.unit)

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Transform `[co, ci, 3, 3]` and order it `[points]` of blocks of output channels, each `[ci, channels]`."""
        g, ci = self.matrices[1], self.source.c
        transform = np.kron(g, g)
        packed = np.empty((self._points**2, ci * self.width), self.source.dtype)
        for b in self._blocks:  # one block at a time stays in the cache
            taps = np.zeros((TAPS, TAPS, ci, b.width))
            part = weights[b.first : b.first + b.width]
            taps[..., : len(part)] = part.transpose(2, 3, 1, 0)
            packed[:, b.first * ci : (b.first + b.width) * ci] = transform @ taps.reshape(TAPS**2, -1)
        return packed.ravel()

    def pack_bias(self, bias: np.ndarray | None) -> np.ndarray:
        """Return what the products `[points, co]` begin with.

        A constant at the point (1, 1) reaches all outputs of a tile with factor 1, so the bias goes there.
        """
        packed = np.zeros((self._points**2, self.width), self.source.dtype)
        if bias is not None:
            packed[self._points + 1, : self.sink.c] = bias
        return packed

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Convolve in double precision, with the weights solved for from the transformed ones."""
        image, packed, bias, *others = inputs
        weights = self._unpack(packed)
        window = Window(TAPS, TAPS, self.stride, self.stride, top=self.top, left=self.left)
        taps = window.taps(self.source, self.sink, image).astype(np.float64)
        value = np.einsum("nhwklc,klco->nhwo", taps, weights, optimize=True) + bias[self._points + 1, : self.sink.c]
        return [self.sink.place(apply_steps(self.steps, value.astype(np.float32), others))]

    def _unpack(self, packed: np.ndarray) -> np.ndarray:
        """Return the weights `[3, 3, ci, co]`."""
        points, ci = self._points**2, self.source.c
        per_point = packed.reshape(points, -1)
        parts = [
            per_point[:, b.first * ci : (b.first + b.width) * ci].reshape(points, ci, b.width) for b in self._blocks
        ]
        whole = np.concatenate(parts, axis=-1)[..., : self.sink.c].astype(np.float64)
        back = np.linalg.pinv(self.matrices[1])
        points_first = whole.reshape(self._points, self._points, ci, self.sink.c)
        return np.asarray(np.einsum("ki,lj,ijco->klco", back, back, points_first))

    def tir(self, target: Target) -> "PrimFunc":
        """Return the three stages over bands of tiles; the last band may be narrower."""
        rows, _ = self._tiles
        with emit(self.args, target) as e:
            clear_border(e, self.sink, e.args[-1])
            with e.loop(self.sink.n) as n:
                whole, rest = divmod(rows, self.band)
                if whole:
                    with e.loop(whole) as band:
                        _Band(self, e, n, band * self.band, self.band).emit()
                if rest:
                    _Band(self, e, n, whole * self.band, rest).emit()
        return e.function


class _Band:
    """`rows` rows of tiles, the first of which is `first`."""

    def __init__(self, conv: WinogradConv, e: Emitter, n: Expr, first: Expr, rows: int) -> None:
        self.conv, self.e, self.n, self.first, self.rows = conv, e, n, first, rows
        self.columns = conv._tiles[1]
        self.tiles = rows * self.columns
        self.points = conv._points
        self.width, self.dtype, self.unit = conv.width, conv.source.dtype, conv.unit

    def emit(self) -> None:
        """Emit the stages with their scratch memory."""
        inputs, products = (self._scratch(channels) for channels in (self.conv.source.channels, self.width))
        self._transform_inputs(inputs)
        self._multiply(inputs, products)
        self._transform_outputs(products)

    def _scratch(self, channels: int) -> Any:
        """Declare memory `[points, channels / group, tiles, group]`.

        On ARM a group is one vector, so that two tiles are one `ldp` and addresses are constants within a register
        tile; elsewhere it is all channels, which are read as scalars.
        """
        group = self.unit if self.e.arm else channels
        return self.e.workspace((self.points**2, channels // group, self.tiles, group), self.dtype)

    def _at(self, scratch: Any, point: Expr, tile: Expr, channel: Expr) -> tuple[Expr, ...]:
        """Return the indices of `channel`."""
        if int(scratch.shape[1]) == 1:
            return point, 0, tile, channel
        return point, self.e.T.floordiv(channel, self.unit), tile, self.e.T.floormod(channel, self.unit)

    def _transform_inputs(self, inputs: Any) -> None:
        e, source, step = self.e, self.conv.source, self.conv.m * self.conv.stride
        matrix = self.conv.matrices[2]
        lanes = self._lanes(source.channels)
        top, left = source.border - self.conv.top, source.border - self.conv.left
        with e.parallel(self.rows) as ty, e.loop(source.channels // lanes) as c, e.loop(self.columns) as tx:
            y, x = (self.first + ty) * step + top, tx * step + left
            size = range(matrix.shape[1])
            pixels = [
                [e.let(e.load(e.args[0], self.n, y + i, x + j, c * lanes, lanes=lanes)) for i in size] for j in size
            ]
            columns = [apply_matrix(e, matrix, column, lanes) for column in pixels]
            for i in range(self.points):
                row = apply_matrix(e, matrix, [column[i] for column in columns], lanes)
                for j in range(self.points):
                    at = self._at(inputs, i * self.points + j, ty * self.columns + tx, c * lanes)
                    e.store(inputs, row[j], *at, lanes=lanes)

    def _multiply(self, inputs: Any, products: Any) -> None:
        tile = min(self.conv.tile.rows, self.tiles)
        with self.e.parallel(self.points**2) as point:
            for run in runs(self.conv._blocks):
                with self.e.loop(len(run)) as index:
                    channel = run[0].first + index * run[0].width
                    whole, rest = divmod(self.tiles, tile)
                    with self.e.loop(whole) as part:
                        self._product(inputs, products, (point, part * tile, channel), tile, run[0])
                    if rest:
                        self._product(inputs, products, (point, whole * tile, channel), rest, run[0])

    def _product(self, inputs: Any, products: Any, at: tuple[Expr, Expr, Expr], count: int, block: Block) -> None:
        """Multiply `count` tiles with one block of weights."""
        e, ci = self.e, self.conv.source.c
        point, first, channel = at
        tile = RegisterTile(e, count, block.width, ci, self.dtype)
        base = (point * self.width + channel) * ci

        def step(c: Expr, depth: int) -> None:
            rows = [tile.spread(inputs, self._at(inputs, point, first + p, c), depth) for p in range(count)]

            def weight(k: int, offset: int) -> Expr:
                return e.load(e.args[1], base + c * block.width + (k * block.width + offset), lanes=tile.lanes)

            tile.update(rows, weight)

        tile.set(lambda offset: e.load(e.args[2], point, channel + offset, lanes=tile.lanes))
        tile.reduce(ci, step)
        for row, offset, result in tile:
            at = self._at(products, point, first + row, channel + offset)
            e.store(products, result, *at, lanes=tile.lanes)

    def _transform_outputs(self, products: Any) -> None:
        e, m, channels = self.e, self.conv.m, min(self.conv.sink.channels, self.width)
        matrix = self.conv.matrices[0]
        lanes = self._lanes(channels)
        at = range(self.points)
        with e.parallel(self.rows) as ty, e.loop(self.columns) as tx, e.loop(channels // lanes) as c:
            tile = ty * self.columns + tx

            def value(i: int, j: int) -> Expr:
                place = self._at(products, i * self.points + j, tile, c * lanes)
                return e.let(e.load(products, *place, lanes=lanes))

            values = [[value(i, j) for i in at] for j in at]
            columns = [apply_matrix(e, matrix, column, lanes) for column in values]
            y, x = e.let((self.first + ty) * m), e.let(tx * m)
            for i in range(m):
                row = apply_matrix(e, matrix, [columns[j][i] for j in at], lanes)
                for j in range(m):
                    self._finish((y + i, x + j), c * lanes, row[j], lanes)

    def _finish(self, pixel: tuple[Expr, Expr], channel: Expr, value: Expr, lanes: int) -> None:
        """Apply the steps and write the pixel if it exists."""
        e, sink, (y, x) = self.e, self.conv.sink, pixel
        inside = (True if sink.h % self.conv.m == 0 else y < sink.h, True if sink.w % self.conv.m == 0 else x < sink.w)
        with e.when(*inside):
            result = emit_steps(e, self.conv.steps, e.args[3:-1], value, (self.n, y, x, channel), lanes=lanes)
            e.store(e.args[-1], result, self.n, y + sink.border, x + sink.border, channel, lanes=lanes)

    def _lanes(self, channels: int) -> int:
        """Return the widest vector that divides `channels`."""
        return max(v for v in (1, 2, 4, 8, 16) if v <= self.e.lanes_of(self.dtype) and channels % v == 0)
