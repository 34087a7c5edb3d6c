"""The graph: `onnx_ir` under the names that Galen uses, and what ONNX lacks. Nothing else imports `onnx_ir`."""

from onnx import ModelProto
from onnx_ir import (
    Attr,
    AttributeType,
    DataType,
    ExternalTensor,
    Function,
    Graph,
    LazyTensor,
    Model,
    Node,
    Shape,
    SymbolicDim,
    Tensor,
    TensorProtocol,
    TensorType,
    Value,
    tensor,
)
from onnx_ir.convenience import convert_attribute

from galen.ir.errors import GalenError, UsageError
from galen.ir.samples import Batch, Samples

__all__ = [
    "Attr",
    "AttributeType",
    "Batch",
    "DataType",
    "ExternalTensor",
    "Function",
    "GalenError",
    "Graph",
    "LazyTensor",
    "Model",
    "ModelProto",
    "Node",
    "Samples",
    "Shape",
    "SymbolicDim",
    "Tensor",
    "TensorProtocol",
    "TensorType",
    "UsageError",
    "Value",
    "convert_attribute",
    "tensor",
]
