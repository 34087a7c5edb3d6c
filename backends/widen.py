"""ONNX's own integers below eight bits (INT4, UINT4, INT2, UINT2) as the 8-bit ones that everything else reads.

Weights lose their zero point, so that they are symmetric; activations become 8-bit integers that a Clip holds within
the narrow range, the form that `galen.passes.quantize` writes.
"""

from typing import Any

import numpy as np

from galen.ir import Model, Node, Value
from galen.ir.edit import Names, const_value, new_initializer, replace_uses

_RANGES = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}
"""Name of a type in numpy's spelling -> its least and greatest integer."""


def widen(model: Model) -> None:
    """Rewrite every pair of narrow integers in `model`; blocked scales are left alone."""
    names = Names(model)
    for node in list(model.graph):
        zero = const_value(node.inputs[2]) if len(node.inputs) > 2 else None
        if "block_size" in node.attributes and node.attributes["block_size"].as_int():
            continue
        if node.op_type == "DequantizeLinear" and (weights := const_value(node.inputs[0])) is not None:
            if weights.dtype.name in _RANGES:
                _constant(node, weights, zero, names)
        elif node.op_type == "QuantizeLinear" and zero is not None and zero.dtype.name in _RANGES:
            _activation(node, zero, names)


def _constant(node: Node, weights: np.ndarray, zero: np.ndarray | None, names: Names) -> None:
    """Let a DequantizeLinear read int8, whose zero point is 0."""
    wide, axis = weights.astype(np.int8), node.attributes.get_int("axis", 1)
    scale = const_value(node.inputs[1])
    shape = () if scale is None else scale.shape
    if zero is not None:
        along = [-1 if i == axis % wide.ndim else 1 for i in range(wide.ndim)]
        wide = wide - (zero.astype(np.int8).reshape(along) if zero.ndim else zero.astype(np.int8))
    _read(node, 0, wide, names)
    _read(node, 2, np.zeros(shape, np.int8), names)


def _activation(quantize: Node, zero: np.ndarray, names: Names) -> None:
    """Replace the output of a QuantizeLinear by 8-bit integers in the range of the type of `zero`."""
    low, high = _RANGES[zero.dtype.name]
    dtype: Any = np.int8 if low < 0 else np.uint8
    old = quantize.outputs[0]
    readers = [use.node for use in old.uses()]
    graph = quantize.graph
    if graph is None or old.is_graph_output() or any(reader.op_type != "DequantizeLinear" for reader in readers):
        return
    constants = [new_initializer(graph, np.asarray(a, dtype), names.fresh(f"{old.name}_{end}"))
                 for a, end in ((zero.astype(dtype), "zero"), (low, "low"), (high, "high"))]  # fmt: skip
    made = Node("", "QuantizeLinear", [*quantize.inputs[:2], constants[0]], name=f"{quantize.name}_wide")
    clip = Node("", "Clip", [made.outputs[0], *constants[1:]], name=f"{quantize.name}_clip")
    for value, end in ((made.outputs[0], "wide"), (clip.outputs[0], "clipped")):
        value.name = names.fresh(f"{old.name}_{end}")
    graph.insert_after(quantize, [made, clip])
    replace_uses(old, clip.outputs[0])
    for reader in readers:
        reader.replace_input_with(2, constants[0])
    graph.remove(quantize, safe=True)


def _read(node: Node, index: int, array: np.ndarray, names: Names) -> None:
    """Make a constant input of `node`, adding inputs as needed."""
    if node.graph is None:
        raise ValueError(f"{node.name} belongs to no graph")
    old: Value | None = node.inputs[index] if index < len(node.inputs) else None
    value = new_initializer(node.graph, array, names.fresh(f"{old.name if old else node.name}_wide"))
    if index == len(node.inputs):
        node.resize_inputs(index + 1)
    node.replace_input_with(index, value)
