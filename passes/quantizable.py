"""What can be computed in integers: layers, and the operators between them that need not leave the integers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from galen.ir import DataType, Model, Node, Value
from galen.ir.edit import attribute, const_value
from galen.passes.policy import Bits

WIDEST = 8
"""Bits of an integer activation; policies ask for more when they mean floating point."""

ARITHMETIC = frozenset({"Add", "Mul", "Sub", "AveragePool", "GlobalAveragePool", "ReduceMean", "Concat", "MatMul"})
UNARY = frozenset(
    {"Relu", "Clip", "LeakyRelu", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus"}
    | {"Softsign", "Gelu", "Mish", "Swish", "ThresholdedRelu", "Neg", "Abs", "Exp", "Erf", "Sqrt", "Add", "Mul", "Sub"}
    | {"Div", "Pow", "Min", "Max", "PRelu"}
)
MOVEMENT = frozenset(
    {"MaxPool", "GlobalMaxPool", "Slice", "Pad", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Split"}
    | {"Gather", "DepthToSpace", "SpaceToDepth", "Resize", "Upsample", "Identity", "Dropout", "Expand", "Tile"}
)
_FUSED = frozenset({"Relu", "Clip"})
_FUSES = ARITHMETIC - {"Concat"}


@dataclass(frozen=True)
class Layer:
    """A node with a constant weight.

    Attributes:
        weight: index of the weight among the node's inputs.
        axis: output channels in the weight, None where they are spread over two axes.
        bias: node and index of the constant that is added per output channel, or None.
        output: the sum, bias included.
    """

    node: Node
    weight: int
    axis: int | None
    bias: tuple[Node, int] | None
    output: Value

    @property
    def name(self) -> str:
        """Return the node's name, under which policies know the layer."""
        return self.node.name or ""


def layer_of(node: Node) -> Layer | None:
    """Return the layer that a node is, None when it has no constant fp32 weight or an unusual form."""
    if node.domain or len(node.inputs) < 2:
        return None
    weight = const_value(node.inputs[1])
    if weight is None or weight.dtype != np.float32 or const_value(node.inputs[0]) is not None:
        return None
    match node.op_type:
        case "Conv":
            axis: int | None = 0
        case "ConvTranspose":
            axis = 1 if attribute(node, "group", 1) == 1 else None
        case "Gemm" if _is_plain(node):
            axis = 0 if attribute(node, "transB", 0) else 1
        case "MatMul" if weight.ndim >= 2:
            return _matmul(node, weight)
        case _:
            return None
    has_bias = len(node.inputs) > 2 and node.inputs[2] is not None
    if has_bias and not _is_vector(const_value(node.inputs[2])):
        return None
    return Layer(node, 1, axis, (node, 2) if has_bias else None, node.outputs[0])


def _is_plain(node: Node) -> bool:
    factors = attribute(node, "alpha", 1.0), attribute(node, "beta", 1.0)
    return factors == (1.0, 1.0) and not attribute(node, "transA", 0)


def _matmul(node: Node, weight: np.ndarray) -> Layer:
    """A product followed by the addition of a constant vector is one layer."""
    axis = 1 if weight.ndim == 2 else None
    reader = only_reader(node.outputs[0])
    if reader is not None and reader.op_type == "Add" and not reader.domain:
        index = 1 if reader.inputs[0] is node.outputs[0] else 0
        bias = const_value(reader.inputs[index])
        if _is_vector(bias) and bias is not None and bias.size == weight.shape[-1]:
            return Layer(node, 1, axis, (reader, index), reader.outputs[0])
    return Layer(node, 1, axis, None, node.outputs[0])


def _is_vector(bias: np.ndarray | None) -> bool:
    return bias is not None and bias.size == max(bias.shape, default=0)


def only_reader(value: Value) -> Node | None:
    """Return the node that alone reads `value`, None when there are several or the model returns it."""
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


@dataclass
class Plan:
    """What a quantization will do.

    Attributes:
        layers: those computed in integers, with their widths.
        weights_only: those whose weights alone are integers.
        bits: width of every activation that is quantized.
        tied: activations that are other ones moved: value -> the value whose scale and zero point it shares.
        narrow: layer -> width, where one wants fewer bits than its activation has.
    """

    layers: list[tuple[Layer, Bits]] = field(default_factory=list)
    weights_only: list[tuple[Layer, Bits]] = field(default_factory=list)
    bits: dict[Value, int] = field(default_factory=dict)
    tied: dict[Value, Value] = field(default_factory=dict)
    narrow: dict[Node, int] = field(default_factory=dict)

    def root(self, value: Value) -> Value:
        """Return the activation whose range `value` has."""
        return self.tied.get(value, value)

    def narrow_readers(self) -> Iterator[tuple[Node, Value]]:
        """Yield every layer that reads its activation at fewer bits, and the activation."""
        for node in self.narrow:
            if (value := node.inputs[0]) is not None:
                yield node, value


def plan(model: Model, widths: Mapping[str, Bits]) -> Plan:
    """Decide what becomes integers when the layers of these names get these widths; others stay as they are."""
    result = Plan()
    wanted: dict[Value, dict[Node, int]] = {}
    layers: dict[Node, Layer] = {}
    for node in model.graph:
        bits, layer = widths.get(node.name or ""), layer_of(node)
        if layer is None or bits is None:
            continue
        if bits.activation_bits <= WIDEST:
            activation = node.inputs[0]
            wanted.setdefault(activation, {})[node] = bits.activation_bits  # type: ignore[arg-type]
            if bits.weight_bits <= WIDEST:
                layers[node] = layer
                result.layers.append((layer, bits))
        elif bits.weight_bits <= WIDEST:
            result.weights_only.append((layer, bits))
    _follow(model, layers, wanted, result)
    _assign_widths(wanted, result)
    return result


def _follow(model: Model, layers: Mapping[Node, Layer], wanted: Mapping[Value, object], result: Plan) -> None:
    """Find all quantized activations: what layers read and write, and what comes of it without leaving the integers."""
    quantized: dict[Value, None] = dict.fromkeys(wanted)
    inside: set[Node] = set()
    for node in model.graph:
        if node in inside:
            continue
        if node in layers:
            output = layers[node].output
            if (adds_bias := output.producer()) is not None:
                inside.add(adds_bias)
        elif is_movement(node, quantized) and (source := node.inputs[0]) is not None:
            quantized.update(dict.fromkeys(node.outputs))
            result.tied.update(dict.fromkeys(node.outputs, result.root(source)))
            continue
        elif is_arithmetic(node, quantized) or is_table(node, quantized):
            output = node.outputs[0]
        else:
            continue
        reader = only_reader(output)
        fuses = reader is not None and reader.op_type in _FUSED and (node in layers or node.op_type in _FUSES)
        if reader is not None and fuses and is_table(reader, {output: None}):
            inside.add(reader)
            output = reader.outputs[0]
        quantized[output] = None
    result.bits = dict.fromkeys(quantized, WIDEST)


def _assign_widths(wanted: Mapping[Value, Mapping[Node, int]], result: Plan) -> None:
    shared = set(result.tied) | set(result.tied.values())
    for value, readers in wanted.items():
        only_layers = all(use.node in readers and use.idx == 0 for use in value.uses())
        if only_layers and not value.is_graph_output() and value not in shared:
            result.bits[value] = max(readers.values())
        for node, bits in readers.items():
            if bits < result.bits[value]:
                result.narrow[node] = bits


def is_movement(node: Node, quantized: Mapping[Value, None]) -> bool:
    """Return whether the outputs of `node` hold elements of its first input, which is quantized, and at most zeros."""
    if node.op_type not in MOVEMENT or node.domain or node.inputs[0] not in quantized:
        return False
    if node.op_type == "Pad":
        filling = const_value(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] is not None else np.zeros(1)
        value = attribute(node, "value", 0.0)
        return value == 0 and filling is not None and not filling.any()
    if node.op_type in ("Resize", "Upsample"):
        return bool(attribute(node, "mode", "nearest") == "nearest")
    return all(not value.uses() for value in node.outputs[1:]) or node.op_type == "Split"


def is_arithmetic(node: Node, quantized: Mapping[Value, None]) -> bool:
    """Return whether `node` combines quantized activations into one that can be quantized."""
    if node.op_type not in ARITHMETIC or node.domain:
        return False
    activations = [value for value in node.inputs if value is not None and const_value(value) is None]
    if node.op_type == "ReduceMean":
        return node.inputs[0] in quantized
    return len(activations) == len(node.inputs) and all(value in quantized for value in activations)


def is_table(node: Node, quantized: Mapping[Value, None]) -> bool:
    """Return whether `node` is a function of one quantized number, its other inputs being constant scalars."""
    if node.op_type not in UNARY or node.domain:
        return False
    inputs = [value for value in node.inputs if value is not None]
    constants = [array for value in inputs if (array := const_value(value)) is not None]
    activations = {value for value in inputs if const_value(value) is None}
    return len(activations) == 1 and activations <= quantized.keys() and all(array.size == 1 for array in constants)


def is_float32(value: Value) -> bool:
    """Return whether an activation has the type that QuantizeLinear takes here, as far as is known."""
    return value.dtype in (None, DataType.FLOAT)
