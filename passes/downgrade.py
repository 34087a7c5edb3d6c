"""Going back to an older version of the standard operators, node by node.

ONNX's converter gives up at the first node whose operator has merely learnt a type since. Here the schemas of both
versions are compared: a node that the older one describes as well stays as it is, but for attributes that say nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx.defs import OpSchema

from galen.ir import GalenError, Model, Node, Value
from galen.ir.edit import all_nodes, attribute, const_value, drop_unused, set_attribute
from galen.ir.schemas import allows, schema_of
from galen.ir.shapes import static_shape

_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "SumSquare")

_WERE_ATTRIBUTES: Mapping[tuple[str, int], Mapping[int, str]] = {
    ("Clip", 11): {1: "min", 2: "max"},
    ("Dropout", 12): {1: "ratio"},
    ("Pad", 11): {1: "pads", 2: "value"},
    ("ReduceSum", 13): {1: "axes"},
    ("Slice", 10): {1: "starts", 2: "ends", 3: "axes"},
    ("Split", 13): {1: "split"},
    ("Squeeze", 13): {1: "axes"},
    ("TopK", 10): {1: "k"},
    ("Unsqueeze", 13): {1: "axes"},
    ("Upsample", 9): {1: "scales"},
    **{(f"Reduce{kind}", 18): {1: "axes"} for kind in _REDUCTIONS},
}
"""Operator and version -> the inputs that were attributes before."""

_NEW_MEANINGS = frozenset(
    {("GroupNormalization", 21), ("Hardmax", 13), ("LogSoftmax", 13), ("Resize", 11), ("Scan", 9), ("Softmax", 13)}
    | {("DequantizeLinear", 13), ("QuantizeLinear", 13)}
)
"""Operator and version from which on the same attributes and inputs mean something else (ONNX's changelog)."""


def downgrade(model: Model, version: int) -> None:
    """Bring `model`, which knows the types of its values, back to `version`.

    Raises:
        GalenError: a node says what no operator of that version can say.
    """
    current = model.opset_imports[""]
    for node in all_nodes(model):
        if not node.domain:
            _rewrite(node, current, version)
    model.graph.opset_imports[""] = version


def _rewrite(node: Node, current: int, version: int) -> None:
    """Go back one version of the operator after the other."""
    schema = schema_of(node, current)
    while schema is not None and schema.since_version > version:
        older = schema_of(node, schema.since_version - 1)
        if older is None or older.deprecated:
            raise GalenError(f"opset {version} has no {node.op_type}", where=_where(node))
        step = node.op_type, schema.since_version
        if step in _WERE_ATTRIBUTES:
            _move_to_attributes(node, _WERE_ATTRIBUTES[step])
        same = _FIXES.get(step, _nothing)(node) or step not in _NEW_MEANINGS
        if not same or not _describes(older, schema, node):
            message = f"this {node.op_type} of opset {schema.since_version} has no equal in opset {version}"
            raise GalenError(message, where=_where(node))
        for name in [name for name in node.attributes if name not in older.attributes]:
            del node.attributes[name]
        schema = older


def _where(node: Node) -> str:
    return f"node {node.name or node.op_type}"


def _move_to_attributes(node: Node, moved: Mapping[int, str]) -> None:
    """Turn constant inputs into attributes; what is not constant stays, for the schema to object to."""
    inputs = list(node.inputs)
    arrays = {index: const_value(inputs[index]) for index in moved if index < len(inputs)}
    if any(array is None and inputs[index] is not None for index, array in arrays.items()):
        return
    if node.op_type == "Slice" and len(inputs) > 4 and not _all_ones(inputs[4]):
        return
    for index, array in arrays.items():
        if array is not None:
            set_attribute(node, moved[index], array.tolist())
    node.resize_inputs(min(moved))
    drop_unused(inputs)


def _all_ones(value: Value | None) -> bool:
    array = np.ones(1) if value is None else const_value(value)
    return array is not None and bool((array == 1).all())


def _describes(older: OpSchema, newer: OpSchema, node: Node) -> bool:
    """Return whether the older schema allows the node, and takes for granted what the newer one does."""
    if not older.min_input <= len(node.inputs) <= older.max_input or len(node.outputs) > older.max_output:
        return False
    known = [(index, value.dtype) for index, value in enumerate(node.inputs) if value is not None and value.dtype]
    if not all(allows(older.inputs, index, dtype) for index, dtype in known):
        return False
    if not all(
        _says_nothing(newer, name, attribute(node, name)) for name in node.attributes if name not in older.attributes
    ):
        return False
    silent = [name for name in older.attributes if name in newer.attributes and name not in node.attributes]
    if any(older.attributes[name].default_value != newer.attributes[name].default_value for name in silent):
        return False
    return all(name in node.attributes for name, attr in older.attributes.items() if attr.required)


def _says_nothing(schema: OpSchema, name: str, value: Any) -> bool:
    """Return whether an attribute has the value that it has when it is absent."""
    if name not in schema.attributes:
        return True
    default = schema.attributes[name].default_value
    is_default = bool(default.name) and onnx.helper.get_attribute_value(default) == value
    return is_default or (name == "dilations" and set(value) == {1})


def _nothing(_: Node) -> bool:
    return False


def _equal_parts(node: Node) -> bool:
    """A Split into equal parts need not say how many: the older one counts its outputs."""
    shapes = {static_shape(value) for value in node.outputs}
    if len(shapes) == 1 and None not in shapes:
        node.attributes.pop("num_outputs", None)
    return False


def _last_axis(node: Node) -> bool:
    """Until 13 everything from `axis` on was one axis, which is the same where that is the last."""
    value = node.inputs[0]
    rank = len(value.shape) if value is not None and value.shape is not None else 0
    is_last = rank > 0 and attribute(node, "axis", -1) in (-1, rank - 1)
    if is_last:
        set_attribute(node, "axis", rank - 1)
    return is_last


def _no_zeros(node: Node) -> bool:
    """Where the target holds no 0, it does not matter what a 0 would mean."""
    target = const_value(node.inputs[1]) if len(node.inputs) > 1 else None
    if target is not None and target.all():
        node.attributes.pop("allowzero", None)
    return False


def _some_axes(node: Node) -> bool:
    """Where there are axes, it does not matter what none would mean."""
    if attribute(node, "axes"):
        node.attributes.pop("noop_with_empty_axes", None)
    return False


_FIXES: Mapping[tuple[str, int], Callable[[Node], bool]] = {
    ("Hardmax", 13): _last_axis,
    ("LogSoftmax", 13): _last_axis,
    ("ReduceSum", 13): _some_axes,
    ("Reshape", 14): _no_zeros,
    ("Softmax", 13): _last_axis,
    ("Split", 18): _equal_parts,
    **{(f"Reduce{kind}", 18): _some_axes for kind in _REDUCTIONS},
}
"""Operator and version -> what brings a node into the older form; returns whether it then means the same."""
