"""Multiply-accumulates of single nodes, from the shapes of their operands and results."""

from collections.abc import Callable, Mapping
from math import prod

import onnx_ir

from galen.ir.edit import attribute
from galen.ir.errors import GalenError
from galen.ir.shapes import static_shape


def counts(node: onnx_ir.Node) -> bool:
    """Return whether `node` multiplies and accumulates."""
    return node.op_type in _MACS and not node.domain


def macs(node: onnx_ir.Node) -> int:
    """Return the multiply-accumulates of one inference of a node that `counts`.

    Raises:
        GalenError: a shape that the number depends on is not known, or not one that the operator takes.
    """
    try:
        return _MACS[node.op_type](node)
    except (IndexError, TypeError, ValueError) as error:  # ranks that shape inference was not strict about
        raise GalenError(f"the operands are none that {node.op_type} takes", where=f"node {node.name}") from error


def _shape(value: onnx_ir.Value | None, node: onnx_ir.Node) -> tuple[int, ...]:
    shape = static_shape(value)
    if shape is None:
        name = value.name if value is not None else "a missing operand"
        raise GalenError(f"the shape of {name} is not known", where=f"node {node.name}", hint="pin inputs with --shape")
    return shape


def _conv(node: onnx_ir.Node) -> int:
    return prod(_shape(node.outputs[0], node)) * prod(_shape(node.inputs[1], node)[1:])


def _conv_transpose(node: onnx_ir.Node) -> int:
    return prod(_shape(node.inputs[0], node)) * prod(_shape(node.inputs[1], node)[1:])


def _gemm(node: onnx_ir.Node) -> int:
    rows, inner = _shape(node.inputs[0], node)
    inner = rows if attribute(node, "transA", 0) else inner
    return prod(_shape(node.outputs[0], node)) * inner


def _matmul(node: onnx_ir.Node) -> int:
    return prod(_shape(node.outputs[0], node)) * _shape(node.inputs[0], node)[-1]


def _qlinear_conv(node: onnx_ir.Node) -> int:
    return prod(_shape(node.outputs[0], node)) * prod(_shape(node.inputs[3], node)[1:])


def _recurrent(node: onnx_ir.Node) -> int:
    """All gates of all directions read the input and the previous state at every step: W and R, once each."""
    steps_and_batch = prod(_shape(node.inputs[0], node)[:2])
    return steps_and_batch * sum(prod(_shape(node.inputs[slot], node)) for slot in (1, 2))


def _attention(node: onnx_ir.Node) -> int:
    """Scores and weighted values of every head (Vaswani et al. 2017, equation 1); 4-D or 3-D operands."""
    query, key, value = (_shape(operand, node) for operand in node.inputs[:3])
    if len(query) == 3:
        heads, key_heads = attribute(node, "q_num_heads"), attribute(node, "kv_num_heads")
        query = (query[0], heads, query[1], query[2] // heads)
        key, value = ((s[0], key_heads, s[1], s[2] // key_heads) for s in (key, value))
    past = _shape(node.inputs[4], node)[2] if len(node.inputs) > 4 and node.inputs[4] is not None else 0
    batch, heads, length, size = query
    return batch * heads * length * (key[2] + past) * (size + value[3])


_MACS: Mapping[str, Callable[[onnx_ir.Node], int]] = {
    "Attention": _attention,
    "Conv": _conv,
    "ConvInteger": _conv,
    "ConvTranspose": _conv_transpose,
    "GRU": _recurrent,
    "Gemm": _gemm,
    "LSTM": _recurrent,
    "MatMul": _matmul,
    "MatMulInteger": _matmul,
    "QLinearConv": _qlinear_conv,
    "QLinearMatMul": _matmul,
    "RNN": _recurrent,
}
