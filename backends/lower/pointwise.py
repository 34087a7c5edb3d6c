"""Element-wise operators whose types or broadcasting no epilogue knows."""

from math import prod

from galen.backends.kernels.base import Spec
from galen.backends.kernels.pointwise import Pointwise
from galen.backends.lower.axes import join
from galen.backends.lower.lowering import Lowering
from galen.ir import Node
from galen.ir.edit import attribute

OPERATORS = {
    "Add": "add",
    "And": "and",
    "Cast": "cast",
    "CastLike": "cast",
    "Div": "divide",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater-or-equal",
    "Less": "less",
    "LessOrEqual": "less-or-equal",
    "Max": "maximum",
    "Min": "minimum",
    "Mod": "modulo",
    "Mul": "multiply",
    "Not": "not",
    "Or": "or",
    "Sub": "subtract",
    "Sum": "add",
    "Where": "where",
    "Xor": "xor",
}
"""Operator of ONNX -> that of the kernel."""
OPERANDS = {"Cast": 1, "CastLike": 1}
"""Inputs that are computed with, where others only give a type."""


def pointwise(low: Lowering, node: Node) -> bool:
    """Lower an element-wise operator on dense tensors that broadcast in any way."""
    values = node.inputs[: OPERANDS.get(node.op_type, len(node.inputs))]
    sources, sink = [low.spec(value) for value in values], low.spec(node.outputs[0])
    operator = OPERATORS[node.op_type] if _is_exact(node, sources, sink) else ""
    if not operator or prod(sink.shape) == 0:
        return False
    if operator == "cast" and sources[0] == sink:
        low.alias(node.outputs[0], low.dense(values[0]), sink)
        return True
    if operator == "divide" and "int" in sink.dtype:
        operator = "quotient"
    rank = len(sink.shape)
    shapes = [(1,) * (rank - len(source.shape)) + source.shape for source in sources]
    found = [tuple(shape[axis] == sink.shape[axis] for shape in shapes) for axis in range(rank)]
    axes = join(zip(sink.shape, found, strict=True)) or [(1, (True,) * len(sources))]
    extents = [tuple(extent if has[i] else 1 for extent, has in axes) for i in range(len(sources))]
    specs = tuple(Spec(shape, source.dtype) for shape, source in zip(extents, sources, strict=True))
    kernel = Pointwise(operator, specs, Spec(tuple(extent for extent, _ in axes), sink.dtype))
    buffers = [low.view(low.dense(value), spec.shape) for value, spec in zip(values, specs, strict=True)]
    out = low.view(low.define(node.outputs[0], sink), kernel.sink.shape)
    low.call(kernel, (*buffers, out), node)
    return True


def _is_exact(node: Node, sources: list[Spec], sink: Spec) -> bool:
    """Return whether the kernel computes what ONNX says of these types."""
    if node.op_type == "Equal":
        return sources[0].dtype != "bool"
    return node.op_type != "Mod" or ("int" in sink.dtype and not attribute(node, "fmod", 0))
