"""Between the IR and protobuf messages: what cannot be converted is an error of one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import onnx_ir

from galen.ir.errors import GalenError, root_cause
from galen.ir.sparse import densified

_MALFORMED = (onnx_ir.serde.SerdeError, ValueError, TypeError, KeyError)

_FOREIGN = "galen.type"
"""Key in a value's scratch memory: its type in protobuf, where the IR has none (maps, which classifiers return)."""


def to_message(model: onnx_ir.Model) -> onnx.ModelProto:
    """Return the model as a message that holds all tensors which are not external.

    Raises:
        GalenError: something in the model has no form in protobuf.
    """
    with malformed():
        message = onnx_ir.to_proto(model)
    for infos, values in ((message.graph.input, model.graph.inputs), (message.graph.output, model.graph.outputs)):
        for info, value in zip(infos, values, strict=True):
            if (foreign := foreign_type(value)) is not None:
                info.type.CopyFrom(foreign)
    return message


@contextmanager
def malformed() -> Iterator[None]:
    """Say in one line what cannot be converted.

    Raises:
        GalenError: the block failed at it.
    """
    try:
        yield
    except _MALFORMED as error:
        raise GalenError(f"malformed model: {root_cause(error)}") from error


def foreign_type(value: onnx_ir.Value) -> onnx.TypeProto | None:
    """Return the type of a value in protobuf where the IR has no form for it."""
    kind: onnx.TypeProto | None = value.meta.get(_FOREIGN)
    return kind


def from_message(message: onnx.ModelProto) -> onnx_ir.Model:
    """Return the model that a message describes; its tensors are referred to, not copied.

    Raises:
        GalenError: the message contradicts itself.
    """
    plain = densified(message)
    foreign = {info.name: info.type for info in _infos(plain.graph) if is_foreign(info.type)}
    if foreign:
        plain = _untyped(plain)
    with malformed():
        model = onnx_ir.from_proto(plain)
    for value in (*model.graph.inputs, *(output for node in model.graph for output in node.outputs)):
        if value.name in foreign:
            value.meta[_FOREIGN] = foreign[value.name]
    return model


def is_foreign(kind: onnx.TypeProto) -> bool:
    """Return whether the IR has no form for a type."""
    if kind.HasField("sequence_type"):
        return is_foreign(kind.sequence_type.elem_type)
    if kind.HasField("optional_type"):
        return is_foreign(kind.optional_type.elem_type)
    return bool(kind.HasField("map_type") or kind.HasField("opaque_type"))


def _infos(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    return [*graph.input, *graph.output, *graph.value_info]


def _untyped(message: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy without the types that the IR has no form for."""
    copy = onnx.ModelProto()
    copy.CopyFrom(message)
    for info in _infos(copy.graph):
        if is_foreign(info.type):
            info.ClearField("type")
    return copy
