"""Which nodes of an fp16 model compute in fp16.

Everything else computes in fp32 between Casts, as onnxruntime does on a processor without fp16. Nothing loses precision
by that, so a model in fp16 runs on every core.
"""

from galen.backends.lower.axes import VOLUME
from galen.backends.lower.fuse import ACTIVATIONS, BINARY
from galen.backends.target import Target
from galen.ir import DataType, Model, Node
from galen.ir.edit import attribute, subgraphs_of
from galen.ir.shapes import infer
from galen.passes.retype import retype

WINDOWED = frozenset({"Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
"""Operators whose fp16 kernels work on images, not on volumes."""
IN_HALF = frozenset(
    {"Gemm", "MatMul", "Concat", "Split", "Slice", "Gather", "Pad", "Transpose", "Reshape", "Flatten"}
    | {"Squeeze", "Unsqueeze", "Identity", "Expand", *WINDOWED, *BINARY}
    | (ACTIVATIONS.keys() - {"Log", "Softplus", "Mish", "Sin", "Cos"})
)
"""Operators with fp16 kernels, or whose kernels only move numbers."""


def compute_in_single(model: Model, target: Target) -> None:
    """Let the nodes of `model` compute in fp32 that cannot compute in fp16 on `target`."""
    if not _mentions_half(model):
        return
    infer(model)
    turned = [node for node in model.graph if _may_turn(node) and not (target.has("fullfp16") and _has_kernel(node))]
    retype(model, turned, DataType.FLOAT)
    infer(model)


def _has_kernel(node: Node) -> bool:
    shape = node.outputs[0].shape
    is_volume = shape is not None and len(shape) == VOLUME
    return node.op_type in IN_HALF and not (is_volume and node.op_type in WINDOWED)


def _mentions_half(model: Model) -> bool:
    """Return whether fp16 may occur: in what the model is given, or by what a node says of its result."""
    given = (*model.graph.inputs, *model.graph.initializers.values())
    return any(value.dtype == DataType.FLOAT16 for value in given) or any(
        DataType.FLOAT16 in (attribute(node, "to"), attribute(node, "dtype")) for node in model.graph
    )


def _may_turn(node: Node) -> bool:
    return node.op_type != "Cast" and not subgraphs_of(node)
