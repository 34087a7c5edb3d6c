"""Static quantization as QuantizeLinear/DequantizeLinear pairs ("QDQ") around the operators, which stay in the graph.

The form, which lowering matches and onnxruntime fuses into integer operators:

*Activations* are uint8 (which onnxruntime fuses everywhere, and on x86 runs ten times faster than int8), per tensor,
asymmetric; the range always holds 0, so 0.0 is exactly the zero point. One tensor `t` is quantized once and every
consumer reads the dequantized value (names: `t_q`, `t_dq`, `t_scale`, `t_zero`)::

    t -> QuantizeLinear(t_scale, t_zero) -> [Clip(lo, hi) on uint8] -> DequantizeLinear(t_scale, t_zero) -> consumers

For b < 8 bits the numbers are those of a UINTb in a uint8 container, 0 .. 2^b-1: scale and zero point are computed for
that range and Clip (uint8 scalars, output `t_c`) holds it. A tensor read at several widths is quantized at
the widest (8 where an operator without weights or the graph's output reads it); a narrower reader gets
`t_dq -> Q -> Clip -> DQ` of its own (`t_q4`, `t_c4`, `t_dq4`, `t_scale4`, `t_zero4`).

*Weights* are int8 initializers `w_q`, symmetric (zero point int8 zeros `w_zero`), per output channel
(`w_scale` float32 [channels], DequantizeLinear axis = the output channel's axis, after transposition of Gemm's B taken
into account) or per tensor (scalars). b bits: |q| <= 2^(b-1)-1; 1 bit: -1 and +1.

*Biases* are int32 initializers `b_q`, DequantizeLinear(axis 0, no zero point) with `b_scale = t_scale * w_scale` in
fp32. A MatMul followed by Add of a constant vector is one layer: that vector is such a bias.

*Which operators compute in integers* (all activation inputs dequantized, output quantized):

- layers (constant weights: Conv, ConvTranspose, Gemm, MatMul) whose policy says 1 to 8 bits;
- everything below as soon as all its activation inputs are quantized, always at 8 bits:
  arithmetic with requantization (Add, Mul, Sub of two activations; AveragePool, GlobalAveragePool, ReduceMean, Concat);
  one activation in, elementwise, optionally with a constant scalar (Sigmoid, HardSigmoid, HardSwish, Tanh, LeakyRelu,
  Clip, Relu, Mul, Add, ...): a table of 256 entries computes them exactly;
  movement (MaxPool, Slice, Pad with 0, Reshape, Flatten, Transpose, Squeeze, Unsqueeze, Split, Gather, DepthToSpace,
  nearest Resize, ...): the output has the *same* scale and zero point as the input, so the integers are only moved.

*Fused activations*: Relu or Clip that alone reads the output of a layer, Add or another arithmetic operator has no pair
before it: `Conv -> Relu -> Q`. After Relu the zero point is 0, so that saturation is the Relu.

*Layers in fp16* (16 bits for weights and activations) have fp16 weights and stand, with what follows them, between
Casts (`galen.passes.half_layers`).

Everything else stays float between DequantizeLinear and (when a layer reads it) QuantizeLinear. First and last layer
are treated like all others, the graph's outputs become those of a DequantizeLinear and keep name and type.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np

from galen.ir import GalenError, Model, Samples, UsageError, Value
from galen.ir.clone import clone
from galen.ir.dataset import random_dataset
from galen.ir.edit import all_nodes, const_value
from galen.ir.shapes import Shapes, infer, pin
from galen.passes import origin
from galen.passes.base import Pass, bound
from galen.passes.calibration import SAMPLES, Method, Range, calibrate, calibration_samples
from galen.passes.convert_opset import ConvertOpset
from galen.passes.half_layers import halve_layers
from galen.passes.integer_weights import integer_bias, integer_weight
from galen.passes.policy import FP16, FP32, Bits, Policy
from galen.passes.qdq import Inserter, affine
from galen.passes.quantizable import WIDEST, Layer, Plan, is_float32, layer_of, plan

_OPSET = 13
"""The first opset whose DequantizeLinear has an axis."""

Calibration = Callable[[Model, Mapping[str, int]], Mapping[str, Range]]
"""From a model, still in floating point, and the widths that its activations will have to their ranges, by name."""


@dataclass(frozen=True)
class Quantize(Pass, name="quantize"):
    """Quantize layers to integers of 1 to 8 bits, statically, with ranges from data, or to fp16.

    Attributes:
        weight_bits, activation_bits: widths of every layer, unless a policy gives each its own; 32 leaves fp32, 16 for
            both is fp16.
        policy: widths by layer; layers that it does not name stay fp32.
        calibration: how ranges are found (see `galen.passes.calibration`); `random` runs noise instead of data.
        per_channel: one weight scale per output channel, or one per weight.
        exclude: layers to leave alone, by name or pattern (`*/head/*`).
    """

    weight_bits: int = 8
    activation_bits: int = 8
    policy: Policy | None = None
    calibration: Method | Literal["random"] = "minmax"
    per_channel: bool = True
    exclude: tuple[str, ...] = ()
    data: Samples | None = bound("data")
    train_data: Samples | None = bound("train_data")
    shapes: Shapes | None = bound("shapes")
    seed: int | None = bound("seed")

    def __post_init__(self) -> None:
        for option, bits in (("weight-bits", self.weight_bits), ("activation-bits", self.activation_bits)):
            if not (1 <= bits <= WIDEST or bits in (16, 32)):
                raise UsageError(f"{bits} is not a width: 1 to 8, 16 or 32", where=f"{self.name} {option}")

    def apply(self, model: Model, /) -> bool:
        """Return whether any layer was quantized.

        Raises:
            GalenError: no data, an already quantized model, or a policy that does not fit.
        """
        _refuse_quantized(model)
        widths = self._widths(model)
        if not widths:
            return False
        origin.stamp(model, self.policy)
        quantize(model, widths, self._ranges, per_channel=self.per_channel)
        return True

    def _widths(self, model: Model) -> dict[str, Bits]:
        """Return the width of every layer that gets one."""
        layers = [layer.name for node in model.graph if (layer := layer_of(node))]
        if self.policy is None:
            widths = dict.fromkeys(layers, Bits(self.weight_bits, self.activation_bits))
        else:
            origin.check(self.policy, model)
            widths = dict(self.policy.layers)
            names = {node.name for node in model.graph}
            if unknown := sorted(set(widths) - names):
                raise GalenError(f"the model has no layer {unknown[0]!r}", where="policy")
        kept = {name: bits for name, bits in widths.items() if not any(fnmatchcase(name, p) for p in self.exclude)}
        return {name: bits for name, bits in kept.items() if bits != FP32}

    def _ranges(self, model: Model, bits: Mapping[str, int]) -> dict[str, Range]:
        if self.calibration == "random":
            pinned = clone(model)
            if self.shapes:
                pin(pinned, self.shapes)
            samples: Samples = random_dataset(pinned, SAMPLES, np.random.default_rng(self.seed or 0))
            return calibrate(model, bits, samples, "minmax")
        return calibrate(model, bits, calibration_samples(self.train_data, self.data), self.calibration)


def quantize(model: Model, widths: Mapping[str, Bits], ranges_of: Calibration, *, per_channel: bool = True) -> None:
    """Quantize the layers that `widths` names, in place, with activation ranges from whoever measured them."""
    integers = {name: bits for name, bits in widths.items() if bits != FP16}
    if integers:
        _quantize(model, integers, ranges_of, per_channel=per_channel)
    if len(integers) < len(widths):
        halve_layers(model, widths.keys() - integers.keys())


def _quantize(model: Model, widths: Mapping[str, Bits], ranges_of: Calibration, *, per_channel: bool) -> None:
    if model.opset_imports.get("", 1) < _OPSET:
        ConvertOpset(_OPSET).apply(model)
    infer(model)
    decided = plan(model, widths)
    roots = {str(v.name): bits for v, bits in decided.bits.items() if v not in decided.tied and is_float32(v)}
    _rewrite(model, decided, ranges_of(model, roots), per_channel=per_channel)


def _refuse_quantized(model: Model) -> None:
    for node in all_nodes(model):
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            raise GalenError("the model is quantized already", where=f"node {node.name}", hint="start from fp32")


def _rewrite(model: Model, decided: Plan, ranges: Mapping[str, Range], *, per_channel: bool) -> None:
    insert = Inserter(model)
    extents = {value: ranges[str(decided.root(value).name)] for value in decided.bits}
    inputs = {layer.node: _operand(layer) for layer, _ in decided.layers}
    narrow = [(node, value, str(value.name)) for node, value in decided.narrow_readers()]
    for value, bits in decided.bits.items():
        insert.activation(value, affine(extents[value], bits))
    for node, value, name in narrow:
        insert.narrow(node, affine(extents[value], decided.narrow[node]), name)
    for layer, widths in decided.layers:
        activation = inputs[layer.node]
        grid = affine(extents[activation], decided.narrow.get(layer.node, decided.bits[activation]))
        _quantize_layer(insert, layer, widths, grid.scale, per_channel=per_channel)
    for layer, widths in decided.weights_only:
        _quantize_weight(insert, layer, widths.weight_bits, None, np.float32(1), per_channel=per_channel)


def _operand(layer: Layer) -> Value:
    value = layer.node.inputs[0]
    if value is None:
        raise GalenError("has no input", where=f"layer {layer.name}")
    return value


def _quantize_layer(insert: Inserter, layer: Layer, bits: Bits, x_scale: np.float32, *, per_channel: bool) -> None:
    bias = const_value(layer.bias[0].inputs[layer.bias[1]]) if layer.bias else None
    scale = _quantize_weight(insert, layer, bits.weight_bits, bias, x_scale, per_channel=per_channel)
    if bias is not None:
        insert.bias(layer, *integer_bias(bias, x_scale, scale))


def _quantize_weight(
    insert: Inserter, layer: Layer, bits: int, bias: np.ndarray | None, x_scale: np.float32, *, per_channel: bool
) -> np.ndarray:
    weight = const_value(layer.node.inputs[layer.weight])
    if weight is None:
        raise GalenError("has no constant weight", where=f"layer {layer.name}")
    axis = layer.axis if per_channel else None
    integers, scale = integer_weight(weight, axis, bits, bias, x_scale)
    insert.weight(layer, integers, scale)
    return scale
