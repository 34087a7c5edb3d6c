"""Store and compute in half precision."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from galen.ir import DataType, Model, Node, TensorType
from galen.ir.edit import subgraphs_of
from galen.ir.schemas import allows, schema_of
from galen.ir.shapes import infer
from galen.passes.base import Pass
from galen.passes.retype import has_type, retype

SINGLE_ONLY = frozenset(
    {
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "GRU",
        "GridSample",
        "LSTM",
        "Loop",
        "If",
        "NonMaxSuppression",
        "QuantizeLinear",
        "RNN",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Range",
        "Resize",
        "Scan",
        "Upsample",
    }
)
"""Operators that keep computing in fp32: what they take need not have their precision, or runtimes have no code."""


@dataclass(frozen=True)
class CastFp16(Pass, name="cast-fp16"):
    """Turn fp32 weights and activations into fp16. Inputs and outputs of the model stay fp32.

    Casts surround what stays in fp32: operators that have no fp16 form, and `exclude`.

    Attributes:
        exclude: names or patterns (`head*`) of nodes that stay in fp32.
    """

    exclude: tuple[str, ...] = ()

    def apply(self, model: Model, /) -> bool:
        """Return whether there was anything in fp32."""
        infer(model)
        version = model.opset_imports.get("", 1)
        nodes = [node for node in model.graph if self._may_change(node) and has_half(node, version)]
        return retype(model, nodes, DataType.FLOAT16)

    def _may_change(self, node: Node) -> bool:
        return not any(fnmatchcase(node.name or "", name) for name in self.exclude)


def has_half(node: Node, version: int) -> bool:
    """Return whether a standard operator takes and returns fp16 wherever this node has fp32."""
    schema = None if node.domain or node.op_type in SINGLE_ONLY else schema_of(node, version)
    if schema is None or subgraphs_of(node):
        return False
    taken = [(schema.inputs, index, value) for index, value in enumerate(node.inputs)]
    given = [(schema.outputs, index, value) for index, value in enumerate(node.outputs)]
    for parameters, index, value in taken + given:
        if value is not None and not isinstance(value.type, TensorType | None):
            return False
        if value is not None and has_type(value, DataType.FLOAT) and not allows(parameters, index, DataType.FLOAT16):
            return False
    return True
