"""Gemm and MatMul with constant weights: a pointwise convolution over an image of one row."""

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.conv import DirectConv
from galen.backends.kernels.registers import best_tile, vector
from galen.backends.kernels.window import Window
from galen.backends.lower.axes import rows_of
from galen.backends.lower.fuse import epilogue
from galen.backends.lower.lowering import FLOATS, Lowering
from galen.ir import Node
from galen.ir.edit import attribute, const_value


def gemm(low: Lowering, node: Node) -> bool:
    """Lower Gemm with constant weights and bias."""
    weights = const_value(node.inputs[1])
    bias = const_value(node.inputs[2] if len(node.inputs) > 2 else None)
    if weights is None or attribute(node, "transA", 0) or (bias is None and len(node.inputs) > 2 and node.inputs[2]):
        return False
    scale = weights.dtype.type(attribute(node, "alpha", 1.0))
    weights = (weights.T if attribute(node, "transB", 0) else weights) * scale
    if bias is not None:
        columns = weights.shape[1]
        if bias.size not in (1, columns):
            return False
        bias = np.broadcast_to(bias.ravel() * bias.dtype.type(attribute(node, "beta", 1.0)), (columns,))
    return _product(low, node, weights, bias)


def matmul(low: Lowering, node: Node) -> bool:
    """Lower MatMul whose right side is a constant matrix."""
    weights = const_value(node.inputs[1])
    if weights is None or weights.ndim != 2 or len(low.shape(node.inputs[0])) < 2:
        return False
    return _product(low, node, weights, None)


def _product(low: Lowering, node: Node, weights: np.ndarray, bias: np.ndarray | None) -> bool:
    """Multiply the rows of the node's first input with `weights` `[k, columns]`."""
    spec, dtype = low.spec(node.outputs[0]), weights.dtype.name
    if dtype not in FLOATS:
        return False
    rows, columns = rows_of(spec.shape)
    after = epilogue(low, node.outputs[0], spec)
    result = low.spec(after.value)
    source = Image(1, 1, rows, weights.shape[0], lanes=1, dtype=dtype)
    sink = Image(1, 1, rows, columns, lanes=1, dtype=result.dtype)
    tile = best_tile(columns, rows, low.target, unit=vector(dtype))
    kernel = DirectConv(source, sink, Window(1, 1), after.steps, tile)
    image = low.view(low.dense(node.inputs[0]), source.spec.shape)
    by_output = weights.T[:, :, None, None]
    packed = low.packed(kernel.args[1], lambda: kernel.pack_weights(by_output)), low.constant(kernel.pack_bias(bias))
    out = low.define(after.value, result)
    low.call(kernel, (image, *packed, *after.operands, low.view(out, sink.spec.shape)), node)
    return True
