"""What a model costs, counted on the graph: parameters, multiply-accumulates, bit operations, bytes, nodes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir

from galen.ir.edit import all_nodes, const_tensor, operator
from galen.ir.execute import observe
from galen.ir.macs import counts, macs
from galen.ir.shapes import Shapes, pin

FP32_BITS = 32


@dataclass(frozen=True)
class LayerCosts:
    """Costs of one node that multiplies and accumulates, for one inference.

    Attributes:
        parameters: elements of its weight and bias.
        weight_bits, activation_bits: widths of the two operands, 32 when they are not quantized.
    """

    name: str
    op: str
    macs: int
    parameters: int
    weight_bits: int
    activation_bits: int

    @property
    def bops(self) -> int:
        """Bit operations: MACs x weight bits x activation bits (van Baalen et al. 2020, section 2)."""
        return self.macs * self.weight_bits * self.activation_bits


@dataclass(frozen=True)
class Costs:
    """Costs of a whole model, for one inference.

    Attributes:
        parameters: elements of weights and biases; no scales, zero points or shape constants.
        macs: multiply-accumulates of convolutions, matrix products and recurrent layers.
        bops: MACs x weight bits x activation bits; element-wise operators and BatchNormalization cost nothing.
        bytes: of the parameters at their widths.
        nodes: of the main graph and its subgraphs.
    """

    parameters: int
    macs: int
    bops: int
    bytes: int
    nodes: int


def costs(model: onnx_ir.Model, shapes: Shapes | None = None) -> Costs:
    """Return the costs of `model`.

    Args:
        model: left as it is.
        shapes: numbers for dynamic inputs; an unset batch is 1.

    Raises:
        GalenError: a dimension that the number of operations depends on is not set.
    """
    layers = layer_costs(model, shapes)
    sizes = {value: (tensor.size, _stored_bits(tensor)) for value, tensor in _parameters(model)}
    return Costs(
        parameters=sum(size for size, _ in sizes.values()),
        macs=sum(layer.macs for layer in layers),
        bops=sum(layer.bops for layer in layers),
        bytes=sum(-(-size * bits // 8) for size, bits in sizes.values()),
        nodes=sum(1 for _ in all_nodes(model)),
    )


def layer_costs(model: onnx_ir.Model, shapes: Shapes | None = None) -> list[LayerCosts]:
    """Return the costs of every node that multiplies and accumulates, in order; see `costs`."""
    pinned = model.clone()
    pin(pinned, shapes)
    layers = [node for node in all_nodes(pinned) if counts(node)]
    observe(pinned, {value for node in layers for value in (*node.inputs, *node.outputs) if value is not None})
    return [_layer(node) for node in layers]


def _layer(node: onnx_ir.Node) -> LayerCosts:
    weight = node.inputs[_WEIGHT_SLOTS[node.op_type][0]]
    constants = [_tensor(node.inputs[slot]) for slot in _WEIGHT_SLOTS[node.op_type] if slot < len(node.inputs)]
    return LayerCosts(
        name=node.name or "",
        op=node.op_type,
        macs=macs(node),
        parameters=sum(tensor.size for tensor in constants if tensor is not None),
        weight_bits=width(weight),
        activation_bits=width(node.inputs[0]),
    )


def width(value: onnx_ir.Value | None) -> int:
    """Return the bits that one element of an operand needs: narrower than its type when its range is.

    A value out of DequantizeLinear has the width of the integers behind it: of the Clip between the pair for an
    activation, of the largest magnitude for a constant (b bits hold -2^(b-1)+1 to 2^(b-1)-1, 1 bit -1 and 1).
    """
    stored = _tensor(value)
    if stored is not None:
        return _stored_bits(stored)
    pair = value.producer() if value is not None else None
    if value is None or pair is None or operator(pair) != "DequantizeLinear" or pair.inputs[0] is None:
        return value.dtype.bitwidth if value is not None and value.dtype is not None else FP32_BITS
    return _clipped_bits(pair.inputs[0])


def _clipped_bits(integers: onnx_ir.Value) -> int:
    clip = integers.producer()
    bits = integers.dtype.bitwidth if integers.dtype is not None else 8
    if clip is None or operator(clip) != "Clip":
        return bits
    bounds = [const_tensor(value) for value in clip.inputs[1:3]]
    if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
        return bits
    span = int(bounds[1].numpy()) - int(bounds[0].numpy())
    return min(bits, span.bit_length())


def _stored(value: onnx_ir.Value | None) -> tuple[onnx_ir.Value, onnx_ir.TensorProtocol] | None:
    """Return the constant behind an operand, through DequantizeLinear and rearrangements.

    A weight that is also an input, as old files have it, counts as what it is by default.
    """
    while value is not None:
        tensor = value.const_value if value.is_initializer() else const_tensor(value)
        if tensor is not None:
            return value, tensor
        producer = value.producer()
        if producer is None or operator(producer) not in _CARRIERS:
            return None
        value = producer.inputs[0]
    return None


def _tensor(value: onnx_ir.Value | None) -> onnx_ir.TensorProtocol | None:
    stored = _stored(value)
    return None if stored is None else stored[1]


def _stored_bits(tensor: onnx_ir.TensorProtocol) -> int:
    if tensor.dtype != onnx_ir.DataType.INT8 or tensor.size == 0:
        return tensor.dtype.bitwidth
    numbers = tensor.numpy().astype(np.int16)
    largest = int(np.abs(numbers).max())
    if largest <= 1 and not (numbers == 0).any():
        return 1
    return min(8, max(2, largest.bit_length() + 1))


_CARRIERS = frozenset({"DequantizeLinear", "Transpose", "Reshape", "Identity", "Cast"})
"""Operators through which exporters hand weights over."""

_WEIGHT_SLOTS: Mapping[str, tuple[int, ...]] = {
    "Attention": (1,),
    "BatchNormalization": (1, 2, 3, 4),
    "Conv": (1, 2),
    "ConvInteger": (1,),
    "ConvTranspose": (1, 2),
    "DeformConv": (1, 3),
    "GRU": (1, 2, 3),
    "Gather": (0,),
    "Gemm": (1, 0, 2),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LSTM": (1, 2, 3, 7),
    "LayerNormalization": (1, 2),
    "MatMul": (1, 0),
    "MatMulInteger": (1, 0),
    "PRelu": (1,),
    "QLinearConv": (3, 8),
    "QLinearMatMul": (3, 0),
    "RMSNormalization": (1,),
    "RNN": (1, 2, 3),
}
"""Operator -> inputs that hold parameters, the weight first."""

_ELEMENTWISE = frozenset(
    {"Add", "Sub", "Mul", "Div", "Where", "Concat", "Max", "Min", "Sum", "Expand", "Einsum", "Tile"}
)
"""Operators with a constant operand that is a parameter if it is a vector or more: one number is part of a formula."""


def _parameters(model: onnx_ir.Model) -> Iterator[tuple[onnx_ir.Value, onnx_ir.TensorProtocol]]:
    """Yield every constant that holds parameters, some of them more than once."""
    for node in all_nodes(model):
        if node.domain:
            continue
        slots = _WEIGHT_SLOTS.get(node.op_type, ())
        elementwise = range(len(node.inputs)) if node.op_type in _ELEMENTWISE else ()
        for slot in (*slots, *elementwise):
            stored = _stored(node.inputs[slot]) if slot < len(node.inputs) else None
            if stored is None or not (stored[1].dtype.is_floating_point() or _behind_dequantize(node, slot)):
                continue
            if slot in slots or stored[1].size > 1:
                yield stored


def _behind_dequantize(node: onnx_ir.Node, slot: int) -> bool:
    """Whether an integer constant is a weight rather than an index or a shape."""
    value = node.inputs[slot]
    producer = value.producer() if value is not None else None
    integer_operator = node.op_type in ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul")
    return integer_operator or operator(producer) == "DequantizeLinear"
