"""Operators along the last axis."""

from math import prod

import numpy as np

from galen.backends.kernels.base import Kernel
from galen.backends.kernels.rows import LayerNorm, Softmax
from galen.backends.lower.axes import rows_of
from galen.backends.lower.lowering import Lowering
from galen.ir import Node
from galen.ir.edit import attribute, const_value

MODERN = 13
"""Operator set since which Softmax works along a single axis."""


def softmax(low: Lowering, node: Node) -> bool:
    """Lower Softmax over the last axis that is longer than 1; before operator set 13 over all axes from `axis` on."""
    shape, opset = low.shape(node.inputs[0]), low.model.opset_imports.get("", 18)
    axis = attribute(node, "axis", -1 if opset >= MODERN else 1) % len(shape)
    inner = prod(shape[axis + 1 :]) if opset >= MODERN else 1
    if inner != 1 or low.spec(node.outputs[0]).dtype != "float32":
        return False
    return _rows(low, node, Softmax(prod(shape[:axis]), prod(shape[axis:])))


def layer_norm(low: Lowering, node: Node) -> bool:
    """Lower LayerNormalization over the last axis with constant scale and bias."""
    shape = low.shape(node.inputs[0])
    scale = const_value(node.inputs[1])
    bias = const_value(node.inputs[2]) if len(node.inputs) > 2 else None
    if attribute(node, "axis", -1) % len(shape) != len(shape) - 1 or scale is None or scale.dtype != np.float32:
        return False
    if any(value.uses() for value in node.outputs[1:]) or (bias is None and len(node.inputs) > 2):
        return False
    bias = np.zeros_like(scale) if bias is None else bias
    kernel = LayerNorm(*rows_of(shape), attribute(node, "epsilon", 1e-5))
    return _rows(low, node, kernel, low.constant(scale), low.constant(bias))


def _rows(low: Lowering, node: Node, kernel: Kernel, *constants: int) -> bool:
    """Call a kernel from rows to rows."""
    rows = kernel.args[-1].shape
    source = low.view(low.dense(node.inputs[0]), rows)
    sink = low.view(low.define(node.outputs[0], low.spec(node.outputs[0])), rows)
    low.call(kernel, (source, *constants, sink), node)
    return True
