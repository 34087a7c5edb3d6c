"""The layers of a quantized network: their integers, and the Add that gives a MatMul its bias."""

from dataclasses import dataclass

import numpy as np

from galen.backends.kernels.requantize import scales
from galen.backends.qdq import Integers, Rounded, activation, integers, only_reader, rounded
from galen.ir import Node, Value

F32 = np.float32


class Layer:
    """The quantized operands of Conv, Gemm or MatMul.

    Attributes:
        x, w: of activation and weights; weights have zero point 0.
        bias: int32 `[channels]`.
    """

    def __init__(self, x: Integers, w: Integers, weights: np.ndarray, bias: np.ndarray | None) -> None:
        self.x, self.w, self.weights, self.bias = x, w, weights, bias

    def scales(self, to: Rounded) -> np.ndarray:
        """Return the multipliers of the requantization."""
        return scales(self.x.scale.reshape(()), self.w.scale, np.asarray(to.scale))

    def limits(self, to: Rounded) -> np.ndarray:
        """Return zero point, low and high of the output."""
        return np.array([to.zero, to.low, to.high], np.int32)


def layer(node: Node) -> Layer | None:
    """Return the operands of a layer with quantized input, constant symmetric weights and no or int32 bias."""
    x, w = activation(node.inputs[0]), integers(node.inputs[1])
    if x is None or w is None or w.constant is None or np.any(w.zero) or w.constant.dtype != np.int8:
        return None
    value = node.inputs[2] if len(node.inputs) > 2 else None
    bias = _bias(value, x, w)
    return None if value is not None and bias is None else Layer(x, w, w.constant, bias)


def _bias(value: Value | None, x: Integers, w: Integers) -> np.ndarray | None:
    """Return the int32 behind a bias if they count what products of `x` and `w` do."""
    b = integers(value)
    if b is None or b.constant is None or b.constant.dtype != np.int32:
        return None
    grid_ = np.broadcast_to(F32(x.scale.item()) * w.scale.astype(F32), b.constant.shape)
    return b.constant if np.array_equal(np.broadcast_to(b.scale, b.constant.shape), grid_) else None


@dataclass(frozen=True)
class Biased:
    """A MatMul, which has no bias, and the Add that alone reads it and adds one."""

    product: Node
    addition: Node
    layer: Layer


def biased(node: Node) -> Biased | None:
    """Return the MatMul and Add of which `node` is one, None where it is neither."""
    addition = only_reader(node.outputs[0]) if node.op_type == "MatMul" else node
    if addition is None or addition.op_type != "Add":
        return None
    for index, other in ((0, 1), (1, 0)):
        value, bias = addition.inputs[index], addition.inputs[other]
        product = value.producer() if value is not None else None
        if product is None or product.op_type != "MatMul" or only_reader(product.outputs[0]) is not addition:
            continue
        found = layer(product)
        added = _bias(bias, found.x, found.w) if found else None
        if found is not None and added is not None and added.shape == found.weights.shape[-1:]:
            return Biased(product, addition, Layer(found.x, found.w, found.weights, added))
    return None


def result(node: Node) -> Rounded | None:
    """Return how the output of a layer, its bias added, is quantized."""
    whole = biased(node)
    return rounded(whole.addition if whole else node)
