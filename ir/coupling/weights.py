"""Which operands are weights: constants, also behind the nodes through which exporters hand them over."""

import numpy as np

from galen.ir import Node, Value
from galen.ir.edit import attribute, const_tensor, const_value, operator

_CARRIERS = frozenset({"DequantizeLinear", "QuantizeLinear", "Cast", "Transpose", "Identity", "Reshape", "Clip"})


def is_weight(value: Value | None) -> bool:
    """Return whether `value` is a constant, or one dequantized, cast, transposed or reshaped."""
    return weight_source(value) is not None


def weight_source(value: Value | None) -> Value | None:
    """Return the constant that `value` is made of, None when it depends on the model's inputs."""
    while value is not None and const_tensor(value) is None:
        producer = value.producer()
        value = producer.inputs[0] if producer is not None and operator(producer) in _CARRIERS else None
    return value


def weight_array(node: Node, index: int) -> np.ndarray:
    """Return the values of a weight operand as the node reads them: dequantized, cast, transposed, reshaped.

    Raises:
        ValueError: the operand is no weight.
    """
    value = node.inputs[index]
    constant = const_value(value)
    if constant is not None:
        return constant
    producer = value.producer() if value is not None else None
    if producer is None or operator(producer) not in _CARRIERS:
        raise ValueError(f"input {index} of {node.name} is not a weight")
    array = weight_array(producer, 0)
    if producer.op_type == "DequantizeLinear":
        return _dequantized(producer, array)
    if producer.op_type == "Transpose":
        return array.transpose(attribute(producer, "perm"))
    if producer.op_type == "Reshape" and (target := const_value(producer.inputs[1])) is not None:
        return array.reshape(target)
    return array


def _dequantized(node: Node, array: np.ndarray) -> np.ndarray:
    scale = weight_array(node, 1).astype(np.float32)
    zero = weight_array(node, 2) if len(node.inputs) > 2 and node.inputs[2] is not None else np.zeros_like(scale)
    shape = [1] * array.ndim
    if scale.size > 1:
        shape[attribute(node, "axis", 1)] = scale.size
    return (array.astype(np.float32) - zero.astype(np.float32).reshape(shape)) * scale.reshape(shape)
