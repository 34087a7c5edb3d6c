"""Operators with computed indices, and repetition."""

from collections.abc import Sequence
from math import prod

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.indexed import GatherElements, GatherND, ScatterND, TopK
from galen.backends.kernels.tile import Tile
from galen.backends.lower.axes import rows_of
from galen.backends.lower.lowering import Lowering
from galen.ir import Node
from galen.ir.edit import attribute, const_value


def gather_elements(low: Lowering, node: Node) -> bool:
    """Lower GatherElements."""
    source, index = (low.spec(value) for value in node.inputs)
    return _call(low, node, GatherElements(source, index, attribute(node, "axis", 0) % len(source.shape)))


def gather_nd(low: Lowering, node: Node) -> bool:
    """Lower GatherND."""
    source, index = (low.spec(value) for value in node.inputs)
    return _call(low, node, GatherND(source, index, attribute(node, "batch_dims", 0)))


def scatter_nd(low: Lowering, node: Node) -> bool:
    """Lower ScatterND that overwrites, adds or multiplies."""
    source, index = (low.spec(value) for value in node.inputs[:2])
    reduction = attribute(node, "reduction", "none")
    return reduction in ("none", "add", "mul") and _call(low, node, ScatterND(source, index, reduction))


def top_k(low: Lowering, node: Node) -> bool:
    """Lower TopK of fp32 rows."""
    spec, results = low.spec(node.inputs[0]), [low.spec(value) for value in node.outputs]
    if spec.dtype != "float32" or attribute(node, "axis", -1) % len(spec.shape) != len(spec.shape) - 1:
        return False
    kernel = TopK(*rows_of(spec.shape), results[0].shape[-1], bool(attribute(node, "largest", 1)))
    source = low.view(low.dense(node.inputs[0]), kernel.args[0].shape)
    outs = [
        low.view(low.define(value, result), arg.shape)
        for value, result, arg in zip(node.outputs, results, kernel.args[1:], strict=True)
    ]
    low.call(kernel, (source, *outs), node)
    return True


def tile(low: Lowering, node: Node) -> bool:
    """Lower Tile and Expand of numbers: the shapes say what is repeated."""
    source, sink = low.spec(node.inputs[0]), low.spec(node.outputs[0])
    shape = (1,) * (len(sink.shape) - len(source.shape)) + source.shape
    if node.op_type == "Tile" and const_value(node.inputs[1]) is None:
        return False
    if source.dtype not in ("float32", "int32", "int64") or not shape or prod(sink.shape) == 0:
        return False
    repeats = tuple(wide // extent for wide, extent in zip(sink.shape, shape, strict=True))
    buffer = low.view(low.dense(node.inputs[0]), shape)
    if shape == sink.shape:
        low.alias(node.outputs[0], buffer, sink)
        return True
    low.call(Tile(shape, repeats, sink.dtype), (buffer, low.define(node.outputs[0], sink)), node)
    return True


def _call(low: Lowering, node: Node, kernel: Kernel) -> bool:
    """Call a kernel whose arguments are the node's inputs and its output, dense."""
    sources: Sequence[int] = [low.dense(value) for value in node.inputs]
    out = low.define(node.outputs[0], Spec(kernel.args[-1].shape, kernel.args[-1].dtype))
    low.call(kernel, (*sources, out), node)
    return True
