"""Stable text of a model without its weights, for eyes, diffs and golden tests.

It is ONNX text (`onnx.parser` reads it) but for two things: constants of more than eight elements are written `{…}`,
and there is one initializer or value type per line.
"""

import json
from collections.abc import Iterator, Sequence

import onnx
import onnx.printer
import onnx_ir

from galen.ir.message import to_message

SHOWN_ELEMENTS = 8


def show(model: onnx_ir.Model) -> str:
    """Return the text of `model`."""
    skeleton = model.clone()
    declarations = list(_declarations(skeleton.graph))
    for name in list(skeleton.graph.initializers):
        del skeleton.graph.initializers[name]
    proto = to_message(skeleton)
    del proto.graph.value_info[:]
    _elide(proto.graph)
    for function in proto.functions:
        _elide(function)
    head, brace, nodes = onnx.printer.to_text(proto).partition("{\n")
    block = ",\n   ".join(declarations)
    if block:
        head = f"{head.rstrip()}\n<\n   {block}\n>"
    return "\n".join(line.rstrip() for line in f"{head.rstrip()}\n{brace}{nodes}".splitlines())


def _declarations(graph: onnx_ir.Graph) -> Iterator[str]:
    """Yield initializers with their values, then the types of what nodes compute."""
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is not None:
            yield f"{_type(tensor.dtype, tensor.shape.numpy())} {_name(value)} = {_values(tensor)}"
    for node in graph:
        for value in node.outputs:
            if value.dtype is not None and value.shape is not None and not value.is_graph_output():
                yield f"{_type(value.dtype, value.shape)} {_name(value)}"


def _type(dtype: onnx_ir.DataType, shape: onnx_ir.Shape | Sequence[int]) -> str:
    dims = ",".join("?" if not isinstance(dim, int) and dim.value is None else str(dim) for dim in shape)
    return f"{dtype.name.lower()}{f'[{dims}]' if len(shape) else ''}"


def _name(value: onnx_ir.Value) -> str:
    name = value.name or ""
    return name if name.isidentifier() else json.dumps(name)


def _values(tensor: onnx_ir.TensorProtocol) -> str:
    if tensor.size > SHOWN_ELEMENTS:
        return "{…}"
    items = tensor.numpy().reshape(-1)
    if tensor.dtype == onnx_ir.DataType.STRING:
        return "{" + ", ".join(json.dumps(bytes(item).decode(errors="replace")) for item in items) + "}"
    return "{" + ", ".join(str(item) for item in items) + "}"


def _elide(graph: onnx.GraphProto | onnx.FunctionProto) -> None:
    """Empty the large constants of attributes and subgraphs."""
    for tensor in getattr(graph, "initializer", ()):
        _empty(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            for tensor in (attribute.t, *attribute.tensors):
                _empty(tensor)
            for subgraph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                _elide(subgraph)


def _empty(tensor: onnx.TensorProto) -> None:
    count = 1
    for dim in tensor.dims:
        count *= dim
    if count > SHOWN_ELEMENTS:
        for field in (
            "raw_data",
            "float_data",
            "int32_data",
            "int64_data",
            "double_data",
            "uint64_data",
            "string_data",
        ):
            tensor.ClearField(field)
