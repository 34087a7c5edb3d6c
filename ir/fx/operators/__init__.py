"""The table of operators: one torch function per ONNX operator, a file per family."""

from galen.ir.fx.operators import algebra, elementwise, movement, quantized, recurrent, resample, shape, window
from galen.ir.fx.operators.common import Operator, Table

TABLE: Table = {
    **algebra.OPERATORS,
    **elementwise.OPERATORS,
    **movement.OPERATORS,
    **quantized.OPERATORS,
    **recurrent.OPERATORS,
    **resample.OPERATORS,
    **shape.OPERATORS,
    **window.OPERATORS,
}

INERT: dict[str, frozenset[str]] = {
    "Conv": frozenset({"kernel_shape"}),
    "ConvTranspose": frozenset({"kernel_shape"}),
    "MaxPool": frozenset({"storage_order"}),
    "BatchNormalization": frozenset({"spatial", "is_test", "consumed_inputs"}),
    "Dropout": frozenset({"ratio", "seed", "is_test"}),
    "QuantizeLinear": frozenset({"saturate"}),
    "Resize": frozenset({"extrapolation_value"}),
}
"""Attributes that do not change what the table's function computes. Any other that it does not take must be off."""


def find(op_type: str, opset: int) -> Operator | None:
    """Return the function of an operator in the version of an opset, None when the table has none."""
    entry = TABLE.get(op_type)
    if entry is None or callable(entry):
        return entry
    fitting = [function for since, function in entry if since <= opset]
    return fitting[-1] if fitting else None
