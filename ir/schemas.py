"""What ONNX says of its operators."""

from collections.abc import Sequence

import onnx_ir
from onnx.defs import OpSchema, SchemaError, get_schema


def schema_of(node: onnx_ir.Node, version: int) -> OpSchema | None:
    """Return the schema of a standard operator in a version of the operator set, None where it has none."""
    try:
        return get_schema(node.op_type, version, "")
    except SchemaError:
        return None


def allows(parameters: Sequence[OpSchema.FormalParameter], index: int, dtype: onnx_ir.DataType) -> bool:
    """Return whether the input or output number `index` may be a tensor of that type; the last one may be many."""
    return f"tensor({dtype.name.lower()})" in parameters[min(index, len(parameters) - 1)].types
