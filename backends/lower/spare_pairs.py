"""Q/DQ pairs that change nothing: numbers that were only moved since they were dequantized are on the grid already.

`DequantizeLinear -> Reshape -> QuantizeLinear -> DequantizeLinear` with one scale and zero point is the Reshape alone,
to the bit. Where what follows computes in integers the pair stays, because lowering finds them by it.
"""

from collections.abc import Iterator

import numpy as np

from galen.backends.integer_rules import RULES, biased, layer
from galen.backends.qdq import Integers, activation
from galen.ir import Model, Node, Value
from galen.ir.edit import const_value, replace_uses

MOVES = frozenset(
    {"Expand", "Flatten", "Gather", "Identity", "Reshape", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
IMAGES = frozenset({"Concat", "MaxPool", "Pad", "Resize", "Slice", "Split"})
"""Operators with kernels for images of integers; those in `RULES` have some for other integers, too."""


def drop_spare_pairs(model: Model) -> None:
    """Remove pairs behind operators that only move numbers, in `model`."""
    for node in list(model.graph):
        if node.op_type == "QuantizeLinear" and (readers := list(_pair(node))):
            for reader in readers:
                replace_uses(reader.outputs[0], node.inputs[0])


def _pair(quantize: Node) -> Iterator[Node]:
    """Yield the DequantizeLinear nodes behind a QuantizeLinear, if neither changes anything nor is needed."""
    value, q = quantize.inputs[0], quantize.outputs[0]
    source = _moved(value)
    if source is None or q.is_graph_output() or not _is_grid(source, quantize.inputs[1:]):
        return
    readers = [use.node for use in q.uses()]
    if all(_restores(reader, source) for reader in readers):
        yield from readers


def _restores(node: Node, source: Integers) -> bool:
    """Return whether a node dequantizes to the grid of `source`, for operators that compute in fp32."""
    if node.op_type != "DequantizeLinear" or node.outputs[0].is_graph_output():
        return False
    return _is_grid(source, node.inputs[1:]) and not any(_takes_integers(use.node) for use in node.outputs[0].uses())


def _takes_integers(node: Node) -> bool:
    if node.op_type in ("Conv", "Gemm", "MatMul"):
        return layer(node) is not None
    if node.op_type == "Add" and biased(node):
        return True
    if node.op_type in IMAGES:
        shape = node.inputs[0].shape if node.inputs[0] is not None else None
        return shape is not None and len(shape) == 4
    return node.op_type in RULES or node.op_type == "QuantizeLinear"


def _moved(value: Value | None) -> Integers | None:
    """Return the integers that stand behind `value` before it was moved."""
    moves = 0
    while value is not None and (node := value.producer()) is not None and node.op_type in MOVES and not node.domain:
        value, moves = node.inputs[0], moves + 1
    return activation(value) if moves else None


def _is_grid(source: Integers, parameters: tuple[Value | None, ...]) -> bool:
    """Return whether scale and zero point are those of `source`."""
    scale, zero = (const_value(value) for value in (*parameters, None)[:2])
    if scale is None or zero is None or zero.dtype != source.zero.dtype:
        return False
    return np.array_equal(scale.ravel(), source.scale.ravel()) and np.array_equal(zero.ravel(), source.zero.ravel())
