"""Layers with quantized weights, and what is added to them."""

from dataclasses import dataclass

import numpy as np

from galen.backends.integer_layers import Layer, biased, layer, result
from galen.backends.integer_rules import grid
from galen.backends.kernels.base import Image
from galen.backends.kernels.int8_conv import Int8Conv
from galen.backends.kernels.int8_depthwise import DepthwiseConv
from galen.backends.kernels.requantize import Addend, terms
from galen.backends.kernels.window import Window
from galen.backends.lower.int8_choice import Filters, choose, pixel_width
from galen.backends.lower.integers import (
    FEW,
    LANES,
    extent,
    form,
    image,
    limits,
    only_reader,
    own_grid,
    publish,
    readers_border,
    shift,
    store,
    zero_point,
)
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.windows import window_border, window_of
from galen.backends.qdq import Integers, Rounded, activation, rounded
from galen.backends.target import Target
from galen.ir import Node
from galen.ir.edit import attribute


@dataclass(frozen=True)
class Sum:
    """An addition that the layer before it computes too. `buffers`: addend, ratios, limits."""

    addend: Addend
    buffers: tuple[int, int, int]
    to: Rounded
    node: Node


def convolution(low: Lowering, node: Node) -> bool:
    """Lower Conv with what is added to it."""
    found, to = layer(node), rounded(node)
    if found is None or to is None or found.weights.ndim != 4:
        return False
    if found.w.scale.size > 1 and found.w.axis != 0:
        return False
    groups, taps = attribute(node, "group", 1), found.weights.shape[2:]
    source = image(low, found.x, window_border(node, taps), (LANES, FEW) if groups == 1 else (LANES,))
    _append(low, node, Convolution(found, to, source, Filters(found.weights, groups), window_of(node, taps)))
    return True


def gemm(low: Lowering, node: Node) -> bool:
    """Lower Gemm with a constant matrix: a 1x1 convolution of rows."""
    found, to = layer(node), rounded(node)
    plain = (
        attribute(node, "alpha", 1.0) == 1 and attribute(node, "beta", 1.0) == 1 and not attribute(node, "transA", 0)
    )
    if found is None or to is None or not plain or (found.bias is not None and found.bias.ndim != 1):
        return False
    transposed = attribute(node, "transB", 0)
    if found.w.scale.size > 1 and found.w.axis % 2 != 1 - transposed:
        return False
    weights = found.weights if transposed else found.weights.T
    _append(low, node, Convolution(found, to, image(low, found.x), Filters(weights[:, :, None, None]), Window(1, 1)))
    return True


def matmul(low: Lowering, node: Node) -> bool:
    """Lower MatMul with a constant matrix, and the addition of a bias."""
    whole, to = biased(node), result(node)
    found = whole.layer if whole else layer(node)
    if found is None or to is None or found.weights.ndim != 2 or len(low.shape(found.x.q)) == 4:
        return False
    if found.w.scale.size > 1 and found.w.axis % 2 != 1:
        return False
    if whole:
        low.absorb(whole.addition)
    filters = Filters(found.weights.T[:, :, None, None])
    _append(low, node, Convolution(found, to, image(low, found.x), filters, Window(1, 1)))
    return True


@dataclass(frozen=True)
class Convolution:
    """A layer as a convolution of integers.

    Attributes:
        source: buffer and layout of its input.
    """

    found: Layer
    to: Rounded
    source: tuple[int, Image]
    filters: Filters
    window: Window

    @property
    def depthwise(self) -> bool:
        """Whether every channel has a window of its own."""
        return 1 < self.filters.groups == len(self.filters.weights) == self.source[1].c

    def kernel(self, target: Target, sink: Image, addend: Addend | None) -> Int8Conv:
        """Return the kernel to be called."""
        shape = self.source[1], sink, self.window, addend
        return DepthwiseConv(*shape) if self.depthwise else choose(target, shape, self.filters, width(self.found.x))

    def operands(self, low: Lowering, kernel: Int8Conv) -> tuple[int, ...]:
        """Return the buffers of source, weights, bias, scales and limits."""
        scale = np.broadcast_to(self.found.scales(self.to), len(self.filters.weights))
        return (
            self.source[0],
            low.packed(kernel.args[1], lambda: self.filters.packed(kernel)),
            low.constant(kernel.pack_channels(self._bias())),
            low.constant(kernel.pack_channels(scale)),
            low.constant(limits(self.to)),
        )

    def _bias(self) -> np.ndarray:
        """Return the bias less what the input's zero point adds to every sum, int32 `[co]`."""
        weights = self.filters.weights
        added = zero_point(self.found.x) * weights.reshape(len(weights), -1).sum(axis=1, dtype=np.int32)
        return np.asarray((0 if self.found.bias is None else self.found.bias) - added, np.int32)


def _append(low: Lowering, node: Node, layer_: Convolution) -> None:
    """Append the call for a layer, and for the addition after it."""
    to = layer_.to
    total = _sum(low, to)
    last = total.to if total else to
    sink = form(low, last.q, readers_border(low, last.q))
    kernel = layer_.kernel(low.target, sink, total.addend if total else None)
    if total:
        low.absorb(*(n for n in (*to.nodes, total.node) if n is not node))
    buffers = total.buffers if total else ()
    low.call(kernel, (*layer_.operands(low, kernel), *buffers, store(low, last, sink, node)), node)
    publish(low, last, node)


def width(x: Integers) -> int:
    """Return the bits that the int8 of `x` need."""
    low, high = (bound + shift(x.q, x.zero.dtype) for bound in extent(x.q, x.zero.dtype))
    return max(pixel_width(low, high), pixel_width(zero_point(x), zero_point(x)))


def _sum(low: Lowering, to: Rounded) -> Sum | None:
    """Return the addition that alone reads the output of a layer, if its other operand has been computed."""
    node = only_reader(low, to)
    if node is None or node.op_type != "Add":
        return None
    own_input = low.readers(to.q)[0].outputs[0]
    first = node.inputs[1] is own_input
    other, after = activation(node.inputs[0 if first else 1]), rounded(node)
    if other is None or after is None or other.q is to.q or low.shape(other.q) != low.shape(to.q):
        return None
    if not any(isinstance(p.layout, Image) and p.layout.lanes == LANES for p in low.places.get(other.q, [])):
        return None
    buffer, source = image(low, other)
    pair = grid(other, -shift(other.q, other.zero.dtype)), own_grid(to)
    term = terms(*(pair if first else pair[::-1]), own_grid(after))
    return Sum(Addend(source, first), (buffer, low.constant(term), low.constant(limits(after))), after, node)
