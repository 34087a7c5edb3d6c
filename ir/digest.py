"""A structural digest: what a policy is tied to, and one part of the key under which latencies are cached.

Operators, attributes, shapes, types, wiring and the names of weighted layers count; the values of weights and the
names of tensors do not. Small integer constants are structure (shapes, axes, pads) and count with their values.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx_ir

from galen.ir.edit import const_tensor, subgraphs_of

_STRUCTURE_ELEMENTS = 64


def digest(model: onnx_ir.Model) -> str:
    """Return the digest of `model` as 32 hexadecimal digits. It survives saving, loading and retraining."""
    hasher = hashlib.sha256()
    opsets = sorted(model.opset_imports.items())
    for line in _Description().graph(model.graph, json.dumps(opsets)):
        hasher.update(line.encode())
        hasher.update(b"\n")
    return hasher.hexdigest()[:32]


class _Description:
    """Says what a graph is made of, line by line. Values are numbered in order of appearance."""

    def __init__(self) -> None:
        self._numbers: dict[onnx_ir.Value, int] = {}
        self._written: dict[object, str] = {}

    def graph(self, graph: onnx_ir.Graph, title: str) -> Iterator[str]:
        """Yield one line per input, node and output."""
        yield title
        for value in graph.inputs:
            yield f"input {value.name} {self._number(value)} {_type(value)}"
        for node in graph:
            operands = [self._operand(value) for value in node.inputs]
            for value in node.outputs:
                self._number(value)
            name = node.name if any(operand.startswith("weight") for operand in operands) else ""
            yield f"{node.domain}:{node.op_type} {name} {operands} {self._attributes(node)}"
            for subgraph in subgraphs_of(node):
                yield from self.graph(subgraph, "subgraph")
        for value in graph.outputs:
            yield f"output {value.name} {self._operand(value)}"

    def _number(self, value: onnx_ir.Value) -> int:
        return self._numbers.setdefault(value, len(self._numbers))

    def _operand(self, value: onnx_ir.Value | None) -> str:
        if value is None:
            return "none"
        tensor = const_tensor(value)
        return f"%{self._number(value)}" if tensor is None else _constant(tensor)

    def _attributes(self, node: onnx_ir.Node) -> str:
        """Return the attributes as JSON; equal ones, of which a network has many, are written once."""
        attributes = node.attributes.data.values()
        if any(attr.type not in _REPEATED for attr in attributes):
            return _as_json(attributes)
        key = tuple([(attr.name, attr.value, attr.ref_attr_name) for attr in attributes])
        if (known := self._written.get(key)) is None:
            known = self._written[key] = _as_json(attributes)
        return known


_KIND = onnx_ir.AttributeType
_REPEATED = (_KIND.INTS, _KIND.INT, _KIND.STRING, _KIND.STRINGS)
"""Attributes that are equal where they are written alike: not floats, of which 0 and -0 are equal."""


def _as_json(attributes: Iterable[onnx_ir.Attr]) -> str:
    return json.dumps({attr.name: _attribute(attr) for attr in attributes}, sort_keys=True)


def _constant(tensor: onnx_ir.TensorProtocol) -> str:
    """Return what identifies a constant operand: with its values if it is structure."""
    dims = tensor.shape.numpy()
    if _is_structure(tensor.dtype, dims):
        return f"const {tensor.dtype} {list(dims)} {tensor.numpy().tolist()}"
    return f"weight {tensor.dtype} {list(dims)}"


def _is_structure(dtype: onnx_ir.DataType, dims: Sequence[int]) -> bool:
    return dtype in _COUNTS and prod(dims) <= _STRUCTURE_ELEMENTS


_COUNTS = (onnx_ir.DataType.INT64, onnx_ir.DataType.INT32, onnx_ir.DataType.BOOL)


def _type(value: onnx_ir.Value) -> str:
    dims = [dim if isinstance(dim, int) else "?" for dim in value.shape] if value.shape is not None else None
    return f"{value.dtype} {dims}"


def _attribute(attr: onnx_ir.Attr) -> Any:
    """Return what identifies an attribute, as JSON. Floats are those that the file holds: single precision."""
    if attr.is_ref():
        return f"@{attr.ref_attr_name}"
    if attr.type in (_KIND.INT, _KIND.STRING):
        return attr.value
    if attr.type in (_KIND.INTS, _KIND.STRINGS):
        return list(attr.value)
    if attr.type in (_KIND.FLOAT, _KIND.FLOATS):
        return np.float32(attr.value).tolist()
    return _attribute_tensor(attr.as_tensor()) if attr.type == _KIND.TENSOR else str(attr.type)


def _attribute_tensor(tensor: onnx_ir.TensorProtocol) -> str:
    dims = tensor.shape.numpy()
    values = tensor.numpy().tolist() if _is_structure(tensor.dtype, dims) else "weights"
    return f"{tensor.dtype} {list(dims)} {values}"
