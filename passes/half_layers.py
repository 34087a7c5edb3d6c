"""Layers in fp16 among others: they, and what computes on their results alone, in half precision between Casts."""

from collections.abc import Collection, Container

from galen.ir import DataType, Model, Node, Value
from galen.ir.edit import const_value
from galen.ir.shapes import infer
from galen.passes.cast_fp16 import has_half
from galen.passes.quantizable import ARITHMETIC, MOVEMENT, UNARY, layer_of
from galen.passes.retype import has_type, retype

FOLLOWING = (ARITHMETIC - {"ReduceMean"}) | UNARY | MOVEMENT
"""Operators that compute in fp16 when all of their activations are: a mean over many numbers loses too much."""


def halve_layers(model: Model, names: Collection[str]) -> bool:
    """Turn the layers of these names to fp16, in place, weights and biases included.

    Between two such layers no Cast remains, as long as the operators there read nothing that is fp32.

    Returns:
        Whether there was anything to turn.
    """
    infer(model)
    version = model.opset_imports.get("", 1)
    half: dict[Value, None] = {}
    nodes = []
    for node in model.graph:
        if (node.name in names or _follows(node, half)) and has_half(node, version):
            nodes.append(node)
            half.update(dict.fromkeys(node.outputs))
    return retype(model, nodes, DataType.FLOAT16)


def _follows(node: Node, half: Container[Value]) -> bool:
    """Return whether `node` is no layer, and every number that it computes on is fp16 or constant, not all constant."""
    if node.domain or node.op_type not in FOLLOWING or layer_of(node) is not None:
        return False
    computed = (v for v in node.inputs if v is not None and const_value(v) is None)
    activations = [value for value in computed if has_type(value, DataType.FLOAT)]
    return bool(activations) and all(value in half for value in activations)
