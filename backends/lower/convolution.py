"""Convolutions: the kernel is chosen per layer, everything element-wise after it is fused."""

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.conv import DirectConv
from galen.backends.kernels.registers import best_tile
from galen.backends.lower.axes import image_axes
from galen.backends.lower.fuse import epilogue
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.windows import window_border, window_of
from galen.backends.target import Target
from galen.ir import Node, Value
from galen.ir.edit import attribute, const_value


def convolution(low: Lowering, node: Node) -> bool:
    """Lower Conv with constant weights, one group, one or two axes."""
    weights, bias = const_value(node.inputs[1]), const_value(node.inputs[2] if len(node.inputs) > 2 else None)
    if weights is None or weights.dtype != np.float32 or weights.ndim not in (3, 4):
        return False
    weights = weights if weights.ndim == 4 else weights[:, :, None]
    window = window_of(node, tuple(node_kernel(node)))
    weights = ungrouped(weights, attribute(node, "group", 1))
    n, c, h, w = image_axes(low.shape(node.outputs[0]))
    output = Image(n, h, w, c)
    after = epilogue(low, node.outputs[0], output)
    sink = Image(n, h, w, c, low.border(after.value))
    source = low.image(node.inputs[0], window_border(node, tuple(node_kernel(node))))
    assert isinstance(source.layout, Image)
    kernel = DirectConv(source.layout, sink, window, after.steps, best_tile(c, w, low.target))
    packed = low.constant(kernel.pack_weights(weights)), low.constant(kernel.pack_bias(bias))
    low.call(kernel, (source.buffer, *packed, *after.operands, low.define(after.value, sink)), node)
    return True


def node_kernel(node: Node) -> list[int]:
    """Return the window's taps per axis."""
    weights = const_value(node.inputs[1])
    return attribute(node, "kernel_shape") or list(weights.shape[2:] if weights is not None else ())


def ungrouped(weights: np.ndarray, groups: int) -> np.ndarray:
    """Return grouped weights `[co, ci / groups, kh, kw]` as dense ones, zero between groups."""
    if groups == 1:
        return weights
    outputs, inputs = weights.shape[0] // groups, weights.shape[1]
    dense = np.zeros((weights.shape[0], inputs * groups, *weights.shape[2:]), weights.dtype)
    for g in range(groups):
        dense[g * outputs : (g + 1) * outputs, g * inputs : (g + 1) * inputs] = weights[g * outputs : (g + 1) * outputs]
    return dense


def convolution_border(node: Node, value: Value, target: Target) -> int:  # noqa: ARG001
    """Return the border that a convolution asks of its image."""
    return window_border(node, tuple(node_kernel(node))) if value is node.inputs[0] else 0
