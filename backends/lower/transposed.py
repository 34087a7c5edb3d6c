"""ConvTranspose: one convolution that computes all outputs around an input as channels, then channels become pixels."""

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.interleave import Interleave
from galen.backends.lower.algorithms import Problem, choose
from galen.backends.lower.axes import image_axes
from galen.backends.lower.fuse import epilogue
from galen.backends.lower.lowering import Lowering
from galen.backends.target import Target
from galen.backends.transposition import Axis, axes_of, filters, window
from galen.ir import Node, Value
from galen.ir.edit import const_value
from galen.ir.shapes import static_shape

_ONE = Axis(1, 1, 1, 0)


def transposed_convolution(low: Lowering, node: Node) -> bool:
    """Lower ConvTranspose with constant weights over one or two axes."""
    weights, bias = const_value(node.inputs[1]), const_value(node.inputs[2] if len(node.inputs) > 2 else None)
    axes = rows_and_columns(node)
    if axes is None or weights is None or weights.dtype != np.float32:
        return False
    rows, columns = axes
    n, c, h, w = image_axes(low.shape(node.outputs[0]))
    algorithm = choose(_problem(node, axes), low.target)
    between = Image(n, rows.steps, columns.steps, rows.stride * columns.stride * c)
    source = low.image(node.inputs[0], algorithm.border)
    product = algorithm.kernel(source.layout, between, ())
    packed = (
        low.packed(product.args[1], lambda: product.pack_weights(filters(node, weights, axes))),
        low.constant(product.pack_bias(None if bias is None else np.tile(bias, rows.stride * columns.stride))),
    )
    middle = low.buffer(between.spec)
    low.call(product, (source.buffer, *packed, middle), node)
    after = epilogue(low, node.outputs[0], Image(n, h, w, c))
    sink = Image(n, h, w, c, low.border(after.value))
    spread = Interleave(between, sink, rows.stride, columns.stride, "places", rows.cut, columns.cut, steps=after.steps)
    low.call(spread, (middle, *after.operands, low.define(after.value, sink)), node)
    return True


def transposed_border(node: Node, value: Value, target: Target) -> int:
    """Return the border that a transposed convolution asks of its image."""
    axes = rows_and_columns(node)
    return choose(_problem(node, axes), target).border if axes is not None and value is node.inputs[0] else 0


def rows_and_columns(node: Node) -> tuple[Axis, Axis] | None:
    """Return the axes of a ConvTranspose, None where shapes are not known or there are more than two."""
    source, weights = (static_shape(value) for value in node.inputs[:2])
    if weights is None or source is None or len(weights) not in (3, 4):
        return None
    found = axes_of(node, source[2:], weights[2:])
    return (_ONE, found[0]) if len(found) == 1 else (found[0], found[1])


def transposed_window_border(node: Node) -> int:
    """Return the border that the convolution of all places needs around the input, 0 where shapes are not known."""
    axes, source = rows_and_columns(node), static_shape(node.inputs[0])
    if axes is None or source is None:
        return 0
    _, _, h, w = image_axes(source)
    return window(axes).border((h, w), (axes[0].steps, axes[1].steps))


def _problem(node: Node, axes: tuple[Axis, Axis]) -> Problem:
    rows, columns = axes
    n, inputs, h, w = image_axes(static_shape(node.inputs[0]) or ())
    outputs = (static_shape(node.outputs[0]) or ())[1]
    channels = rows.stride * columns.stride * outputs
    return Problem(n, (h, w), (rows.steps, columns.steps), inputs, channels, window(axes))
