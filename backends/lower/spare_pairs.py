"""Q/DQ pairs that change nothing: numbers that were only moved since they were dequantized are on the grid already.

`DequantizeLinear -> Reshape -> QuantizeLinear -> DequantizeLinear` with one scale and zero point is the Reshape alone,
to the bit. Where what follows computes in integers the pair stays, because lowering finds them by it.
"""

from collections.abc import Sequence

import numpy as np

from galen.backends.integer_layers import biased, layer
from galen.backends.integer_rules import RULES
from galen.backends.qdq import Integers, activation
from galen.ir import Model, Node, Value
from galen.ir.edit import const_value, replace_uses

MOVES = frozenset(
    {"Expand", "Flatten", "Gather", "Identity", "Reshape", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)
IMAGES = frozenset({"Concat", "DepthToSpace", "MaxPool", "Pad", "Resize", "Slice", "Split"})
"""Operators with kernels for images of integers; those in `RULES` have some for other integers, too."""


def drop_spare_pairs(model: Model) -> None:
    """Remove pairs behind operators that only move numbers, in `model`."""
    for node in list(model.graph):
        value = node.inputs[0] if node.op_type == "QuantizeLinear" else None
        if value is not None:
            for reader in _restoring(node, value):
                replace_uses(reader.outputs[0], value)


def _restoring(quantize: Node, value: Value) -> Sequence[Node]:
    """Return the DequantizeLinear nodes behind a QuantizeLinear, if neither changes `value` nor is needed."""
    q, source = quantize.outputs[0], _moved(value)
    if source is None or q.is_graph_output() or not _is_grid(source, quantize.inputs[1:]):
        return ()
    readers = [use.node for use in q.uses()]
    return readers if all(_restores(reader, source) for reader in readers) else ()


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


def _moved(value: Value) -> Integers | None:
    """Return the integers that stand behind `value` before it was moved."""
    origin: Value | None = value
    while origin is not None and (node := origin.producer()) is not None and node.op_type in MOVES and not node.domain:
        origin = node.inputs[0]
    return activation(origin) if origin is not value else None


def _is_grid(source: Integers, parameters: Sequence[Value | None]) -> bool:
    """Return whether scale and zero point are those of `source`."""
    scale, zero = (const_value(value) for value in (*parameters, None)[:2])
    if scale is None or zero is None or zero.dtype != source.zero.dtype:
        return False
    return np.array_equal(scale.ravel(), source.scale.ravel()) and np.array_equal(zero.ravel(), source.zero.ravel())
