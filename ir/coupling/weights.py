"""Which operands are weights: constants, also behind the nodes through which exporters hand them over."""

from galen.ir import Value
from galen.ir.edit import const_tensor

_CARRIERS = frozenset({"DequantizeLinear", "QuantizeLinear", "Cast", "Transpose", "Identity", "Reshape", "Clip"})


def is_weight(value: Value | None) -> bool:
    """Return whether `value` is a constant, or one dequantized, cast, transposed or reshaped."""
    return weight_source(value) is not None


def weight_source(value: Value | None) -> Value | None:
    """Return the constant that `value` is made of, None when it depends on the model's inputs."""
    while value is not None and const_tensor(value) is None:
        producer = value.producer()
        value = producer.inputs[0] if producer is not None and producer.op_type in _CARRIERS else None
    return value
