"""Between the IR and protobuf messages: what cannot be converted is an error of one line."""

import onnx
import onnx_ir

from galen.ir.errors import GalenError, root_cause

_MALFORMED = (onnx_ir.serde.SerdeError, ValueError, TypeError, KeyError)


def to_message(model: onnx_ir.Model) -> onnx.ModelProto:
    """Return the model as a message that holds all tensors which are not external.

    Raises:
        GalenError: something in the model has no form in protobuf.
    """
    try:
        return onnx_ir.to_proto(model)
    except _MALFORMED as error:
        raise GalenError(f"malformed model: {root_cause(error)}") from error


def from_message(message: onnx.ModelProto) -> onnx_ir.Model:
    """Return the model that a message describes; its tensors are referred to, not copied.

    Raises:
        GalenError: the message contradicts itself.
    """
    try:
        return onnx_ir.from_proto(message)
    except _MALFORMED as error:
        raise GalenError(f"malformed model: {root_cause(error)}") from error
