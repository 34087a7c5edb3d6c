"""A model as a message for shape inference: its graph, types and small constants; no weights, no documentation.

`ir.message` writes all that a file holds. This writes what inference reads, in less than half the time: equal
attributes and types, of which a network has many, are built once.
"""

from collections.abc import Callable, Iterable, Mapping
from math import prod

import onnx
import onnx_ir
from onnx_ir import serde

from galen.ir import large, wire
from galen.ir.message import foreign_type, malformed

_LARGE = 1024
"""Tensors of more elements than this are hidden from shape inference: their values cannot matter to a shape."""

_FEW = 16
"""Floating-point tensors of more elements are hidden too: the scales and ranges that shapes depend on are shorter."""

_FLOATS = (onnx_ir.DataType.FLOAT, onnx_ir.DataType.DOUBLE, onnx_ir.DataType.FLOAT16, onnx_ir.DataType.BFLOAT16)

_REPEATED = (
    onnx_ir.AttributeType.INTS,
    onnx_ir.AttributeType.INT,
    onnx_ir.AttributeType.STRING,
    onnx_ir.AttributeType.STRINGS,
)
"""Attributes that are built once: their values differ where their types do."""


def outline(model: onnx_ir.Model) -> onnx.ModelProto:
    """Return the model as a message in which large initializers are inputs without a default.

    Raises:
        GalenError: something in the model has no form in protobuf.
    """
    with malformed():
        writer, message = _Writer(), onnx.ModelProto(ir_version=model.ir_version)
        _import(message.opset_import.add, model.opset_imports)
        writer.graph(message.graph, model.graph, large_initializers(model.graph))
        for function in model.functions.values():
            writer.function(message.functions.add(), function)
        return message


def large_initializers(graph: onnx_ir.Graph) -> dict[onnx_ir.Value, None]:
    """Return the large initializers of a graph, their types and shapes filled in."""
    found: dict[onnx_ir.Value, None] = {}
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and _elements(value, tensor) > (_FEW if tensor.dtype in _FLOATS else _LARGE):
            value.shape = value.shape or onnx_ir.Shape(tensor.shape.numpy())
            value.type = value.type or onnx_ir.TensorType(tensor.dtype)
            found[value] = None
    return found


def _elements(value: onnx_ir.Value, tensor: onnx_ir.TensorProtocol) -> int:
    """Return how many elements a tensor has; tensors in protobuf build their shape anew whenever they are asked."""
    shape = value.shape
    return prod(shape.numpy()) if shape is not None and shape.is_static() else tensor.size


def _import(add: Callable[..., object], opsets: Mapping[str, int]) -> None:
    for domain, version in opsets.items():
        add(domain=domain, version=version)


class _Writer:
    """Fills messages in; remembers attributes and types that it has built."""

    def __init__(self) -> None:
        self._attributes: dict[object, onnx.AttributeProto] = {}
        self._types: dict[object, onnx.TypeProto] = {}

    def graph(self, message: onnx.GraphProto, graph: onnx_ir.Graph, hidden: Iterable[onnx_ir.Value] = ()) -> None:
        """Write a graph, of which the initializers in `hidden` become inputs."""
        message.name = graph.name or "graph"
        inputs = dict.fromkeys([*graph.inputs, *hidden])
        for value in inputs:
            self._info(message.input.add, value)
        for name, value in graph.initializers.items():
            if value.const_value is not None and value not in hidden:
                message.initializer.append(_tensor(value.const_value))
                message.initializer[-1].name = name
        for node in graph:
            self._node(message.node.add, node)
            for value in node.outputs:
                if value.name and not value.is_graph_output() and (value.type is not None or value.shape is not None):
                    self._info(message.value_info.add, value)
        for value in graph.outputs:
            self._info(message.output.add, value)

    def function(self, message: onnx.FunctionProto, function: onnx_ir.Function) -> None:
        """Write a function."""
        message.name, message.domain, message.overload = function.name, function.domain, function.overload
        message.input.extend(str(value.name) for value in function.inputs)
        message.output.extend(str(value.name) for value in function.outputs)
        _import(message.opset_import.add, function.opset_imports)
        for attr in function.attributes.values():
            if attr.value is None:
                message.attribute.append(attr.name)
            else:
                message.attribute_proto.append(self._attribute(attr))
        for node in function:
            self._node(message.node.add, node)

    def _node(self, add: Callable[..., object], node: onnx_ir.Node) -> None:
        outputs = [value.name or "" for value in node.outputs]
        while outputs and not outputs[-1]:
            outputs.pop()
        add(
            name=node.name,
            op_type=node.op_type,
            domain=node.domain,
            overload=node.overload,
            input=["" if value is None else value.name for value in node.inputs],
            output=outputs,
            attribute=[self._attribute(attr) for attr in node.attributes.data.values()],
        )

    def _attribute(self, attr: onnx_ir.Attr) -> onnx.AttributeProto:
        if attr.is_ref():
            return serde.serialize_reference_attribute(attr)
        if attr.type in _REPEATED:
            key = attr.name, attr.value
            if (known := self._attributes.get(key)) is None:
                known = self._attributes[key] = serde.serialize_attribute(attr)
            return known
        if attr.type in (onnx_ir.AttributeType.GRAPH, onnx_ir.AttributeType.GRAPHS):
            return self._bodies(attr)
        if attr.type == onnx_ir.AttributeType.TENSOR:
            return onnx.AttributeProto(name=attr.name, type=onnx.AttributeProto.TENSOR, t=_tensor(attr.as_tensor()))
        return serde.serialize_attribute(attr)

    def _bodies(self, attr: onnx_ir.Attr) -> onnx.AttributeProto:
        if attr.type == onnx_ir.AttributeType.GRAPH:
            message = onnx.AttributeProto(name=attr.name, type=onnx.AttributeProto.GRAPH)
            self.graph(message.g, attr.as_graph())
            return message
        message = onnx.AttributeProto(name=attr.name, type=onnx.AttributeProto.GRAPHS)
        for body in attr.as_graphs():
            self.graph(message.graphs.add(), body)
        return message

    def _info(self, add: Callable[..., onnx.ValueInfoProto], value: onnx_ir.Value) -> None:
        if value.type is None and (foreign := foreign_type(value)) is not None:
            add(name=value.name, type=foreign)
        elif type(value.type) is onnx_ir.TensorType and value.shape is not None:
            key = value.type.dtype, value.shape.dims
            if (known := self._types.get(key)) is None:
                known = self._types[key] = serde.serialize_value(value).type
            add(name=value.name, type=known)
        else:
            serde.serialize_value_into(add(), value)


def _tensor(tensor: onnx_ir.TensorProtocol) -> onnx.TensorProto:
    """Return a tensor as a message; a large one without its values, as if they were elsewhere."""
    hidden = tensor.size > _LARGE and tensor.dtype != onnx_ir.DataType.STRING
    return serde.serialize_tensor(large.pointer(tensor, wire.HERE, 0) if hidden else tensor)
