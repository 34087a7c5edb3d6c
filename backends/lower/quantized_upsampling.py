"""Integers whose channels become pixels: ConvTranspose and DepthToSpace."""

from dataclasses import replace

import numpy as np

from galen.backends.integer_layers import Layer, layer
from galen.backends.kernels.base import Image
from galen.backends.kernels.interleave import Interleave
from galen.backends.lower.int8_choice import Filters
from galen.backends.lower.integers import LANES, form, image, limits, publish, readers_border, same, store, zero_point
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.quantized_layers import Convolution
from galen.backends.lower.resize import order_of
from galen.backends.lower.transposed import rows_and_columns, transposed_window_border
from galen.backends.qdq import activation, rounded
from galen.backends.transposition import filters, window
from galen.ir import Node
from galen.ir.edit import attribute


def transposable(node: Node) -> Layer | None:
    """Return the operands of a ConvTranspose of images that computes in integers, None for any other node."""
    found = layer(node) if node.op_type == "ConvTranspose" and rounded(node) else None
    if found is None or found.weights.ndim != 4 or rows_and_columns(node) is None:
        return None
    by_channel = found.w.scale.size > 1
    return None if by_channel and (found.w.axis != 1 or attribute(node, "group", 1) > 1) else found


def transposed_convolution(low: Lowering, node: Node) -> bool:
    """Lower ConvTranspose of images to a convolution that computes all places of a step as channels."""
    found, to, axes = transposable(node), rounded(node), rows_and_columns(node)
    if found is None or to is None or axes is None:
        return False
    rows, columns = axes
    n, c, _, _ = low.shape(to.q)
    view, places = window(axes), rows.stride * columns.stride
    between = Image(n, rows.steps, columns.steps, places * c, 0, LANES, "int8")
    source = image(low, found.x, transposed_window_border(node))
    product = Convolution(_repeated(found, places), to, source, Filters(filters(node, found.weights, axes)), view)
    kernel = product.kernel(low.target, between, None)
    middle = low.buffer(between.spec)
    low.call(kernel, (*product.operands(low, kernel), middle), node)
    sink = form(low, to.q, readers_border(low, to.q))
    zero = int(limits(to)[0])
    spread = Interleave(between, sink, rows.stride, columns.stride, "places", rows.cut, columns.cut, fill=zero)
    low.call(spread, (middle, store(low, to, sink, node)), node)
    publish(low, to, node)
    return True


def _repeated(by: Layer, places: int) -> Layer:
    """Return the operands of a layer whose channels are those of `by`, once for every place."""
    scale = np.tile(by.w.scale, places) if by.w.scale.size > 1 else by.w.scale
    bias = None if by.bias is None else np.tile(by.bias, places)
    return Layer(by.x, replace(by.w, scale=scale, axis=0), by.weights, bias)


def depth_to_space(low: Lowering, node: Node) -> bool:
    """Lower DepthToSpace that keeps scale and zero point."""
    x, to = activation(node.inputs[0]), rounded(node)
    if x is None or to is None or not same(x, to):
        return False
    buffer, source = image(low, x)
    sink, side = form(low, to.q, readers_border(low, to.q)), attribute(node, "blocksize")
    kernel = Interleave(source, sink, side, side, order_of(node), fill=zero_point(x))
    low.call(kernel, (buffer, store(low, to, sink, node)), node)
    publish(low, to, node)
    return True
