"""The graph: `onnx_ir` under the names that Galen uses, and what ONNX lacks. Nothing else imports `onnx_ir`."""

from onnx_ir import (
    Attr,
    AttributeType,
    DataType,
    Function,
    Graph,
    Model,
    Node,
    Shape,
    SymbolicDim,
    Tensor,
    TensorType,
    Value,
    tensor,
)

from galen.ir.errors import GalenError, UsageError
from galen.ir.samples import Batch, Samples

__all__ = [
    "Attr",
    "AttributeType",
    "Batch",
    "DataType",
    "Function",
    "GalenError",
    "Graph",
    "Model",
    "Node",
    "Samples",
    "Shape",
    "SymbolicDim",
    "Tensor",
    "TensorType",
    "UsageError",
    "Value",
    "tensor",
]
