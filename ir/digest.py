"""A structural digest: what a policy is tied to, and one part of the key under which latencies are cached.

Operators, attributes, shapes, types, wiring and the names of weighted layers count; the values of weights and the
names of tensors do not. Small integer constants are structure (shapes, axes, pads) and count with their values.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir

from galen.ir.edit import const_tensor, subgraphs_of

_STRUCTURE_ELEMENTS = 64


def digest(model: onnx_ir.Model) -> str:
    """Return the digest of `model` as 32 hexadecimal digits. It survives saving, loading and retraining."""
    hasher = hashlib.sha256()
    opsets = sorted(model.opset_imports.items())
    for line in _describe_graph(model.graph, {}, json.dumps(opsets)):
        hasher.update(line.encode())
        hasher.update(b"\n")
    return hasher.hexdigest()[:32]


def _describe_graph(graph: onnx_ir.Graph, numbers: dict[onnx_ir.Value, int], title: str) -> Iterator[str]:
    """Yield one line per input, node and output. `numbers` names values by order of appearance."""
    yield title
    for value in graph.inputs:
        yield f"input {value.name} {_number(value, numbers)} {_type(value)}"
    for node in graph:
        operands = [_operand(value, numbers) for value in node.inputs]
        for value in node.outputs:
            _number(value, numbers)
        attributes = {a.name: _attribute(a) for a in node.attributes.values()}
        name = node.name if any(operand.startswith("weight") for operand in operands) else ""
        yield f"{node.domain}:{node.op_type} {name} {operands} {json.dumps(attributes, sort_keys=True)}"
        for subgraph in subgraphs_of(node):
            yield from _describe_graph(subgraph, numbers, "subgraph")
    for value in graph.outputs:
        yield f"output {value.name} {_operand(value, numbers)}"


def _number(value: onnx_ir.Value, numbers: dict[onnx_ir.Value, int]) -> int:
    return numbers.setdefault(value, len(numbers))


def _operand(value: onnx_ir.Value | None, numbers: dict[onnx_ir.Value, int]) -> str:
    if value is None:
        return "none"
    tensor = const_tensor(value)
    if tensor is None:
        return f"%{_number(value, numbers)}"
    if _is_structure(tensor):
        return f"const {tensor.dtype} {list(tensor.shape)} {tensor.numpy().tolist()}"
    return f"weight {tensor.dtype} {list(tensor.shape)}"


def _is_structure(tensor: onnx_ir.TensorProtocol) -> bool:
    integer = tensor.dtype in (onnx_ir.DataType.INT64, onnx_ir.DataType.INT32, onnx_ir.DataType.BOOL)
    return integer and tensor.size <= _STRUCTURE_ELEMENTS


def _type(value: onnx_ir.Value) -> str:
    dims = [dim if isinstance(dim, int) else "?" for dim in value.shape] if value.shape is not None else None
    return f"{value.dtype} {dims}"


def _attribute(attr: onnx_ir.Attr) -> Any:
    """Return what identifies an attribute, as JSON. Floats are those that the file holds: single precision."""
    if attr.is_ref():
        return f"@{attr.ref_attr_name}"
    kind = onnx_ir.AttributeType
    if attr.type in (kind.INT, kind.STRING):
        return attr.value
    if attr.type in (kind.INTS, kind.STRINGS):
        return list(attr.value)
    if attr.type in (kind.FLOAT, kind.FLOATS):
        return np.float32(attr.value).tolist()
    return _operand_tensor(attr.as_tensor()) if attr.type == kind.TENSOR else str(attr.type)


def _operand_tensor(tensor: onnx_ir.TensorProtocol) -> str:
    values = tensor.numpy().tolist() if _is_structure(tensor) else "weights"
    return f"{tensor.dtype} {list(tensor.shape)} {values}"
