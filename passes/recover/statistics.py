"""Channel statistics of the original, restored layer by layer in what is left of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from galen.ir import GalenError, Model, Node, Samples, Value
from galen.passes.quantizable import Layer, layer_of

if TYPE_CHECKING:
    from torch import Tensor, fx

SAMPLES = 256
_LARGEST_GAIN = 8.0
"""Channels that hardly vary any more are not blown up by more than this."""


class Kept(Protocol):
    """What was left of the original: `galen.ir.coupling.Cut`."""

    def kept(self, value: str, axis: int) -> np.ndarray | None:
        """Return the original's indices that remain of an axis, None when it is whole."""
        ...


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of one value, per channel."""

    mean: "Tensor"
    deviation: "Tensor"

    def take(self, kept: np.ndarray | None) -> "Moments":
        """Return the moments of some channels."""
        return self if kept is None else Moments(self.mean[kept], self.deviation[kept])


class Statistics:
    """The original's channel statistics, measured once and matched by any number of candidates.

    Args:
        reference: the original.
        samples: inputs; the first 256 are used.
    """

    def __init__(self, reference: Model, samples: Samples) -> None:
        from galen.ir.fx import to_fx  # noqa: PLC0415
        from galen.ir.fx.visit import tensors, visit  # noqa: PLC0415

        self._inputs = tensors(next(iter(samples.take(SAMPLES).batches(SAMPLES))))
        self._moments: dict[str, Moments] = {}
        layers = own_layers(reference)

        def measure(name: str, value: "Tensor", _inputs: tuple[Any, ...]) -> "Tensor":
            if name in layers:
                self._moments[name] = _moments(value, layers[name])
            return value

        visit(to_fx(reference), self._inputs, measure)

    def match(self, candidate: Model, cut: Kept) -> None:
        """Scale and shift every layer of `candidate`, in place, until its channels have the original's statistics.

        One pass from the input on: a layer sees the corrected output of those before it. Where BatchNormalization
        follows, its running mean and variance are measured anew instead.
        """
        from galen.ir.fx import to_fx, update_weights  # noqa: PLC0415
        from galen.ir.fx.visit import visit  # noqa: PLC0415

        module, layers = to_fx(candidate), own_layers(candidate)
        normalisations = {str(v.name): node for node in candidate.graph if (v := _normalised(node)) is not None}

        def correct(name: str, value: "Tensor", _inputs: tuple[Any, ...]) -> "Tensor":
            if name in normalisations:
                _measure_anew(module, normalisations[name], value)
            elif name in layers and name in self._moments:
                target = self._moments[name].take(cut.kept(name, channel_axis(layers[name])))
                return _correct(module, layers[name], value, target)
            return value

        visit(module, self._inputs, correct)
        update_weights(candidate, module)


def own_layers(model: Model) -> dict[str, Layer]:
    """Return the layers that share their weights with no other, by the name of their output."""
    layers = (layer for node in model.graph if (layer := layer_of(node)))
    return {str(layer.output.name): layer for layer in layers if _is_alone(layer)}


def _is_alone(layer: Layer) -> bool:
    weight = layer.node.inputs[layer.weight]
    return weight is not None and len(weight.uses()) == 1 and layer.axis is not None


def channel_axis(layer: Layer) -> int:
    """Return the axis of a layer's output that its channels are."""
    return 1 if layer.node.op_type in ("Conv", "ConvTranspose") else -1


def parameter(module: "fx.GraphModule", value: Value | None) -> "Tensor":
    """Return the tensor of `module` that holds an initializer."""
    if value is None:
        raise GalenError("a layer has no weight")
    tensor: Tensor = module.state_dict()[module.meta["parameters"][str(value.name)]]
    return tensor


def _moments(value: "Tensor", layer: Layer) -> Moments:
    rows = value.movedim(channel_axis(layer), 0).flatten(1).double()
    return Moments(rows.mean(dim=1), rows.std(dim=1, correction=0))


def _correct(module: "fx.GraphModule", layer: Layer, value: "Tensor", target: Moments) -> "Tensor":
    """Change the layer's weights so that its output, here `value`, gets the target's moments; return that output."""
    found = _moments(value, layer)
    gain = (target.deviation / found.deviation.clamp_min(1e-12)).clamp(max=_LARGEST_GAIN)
    gain[found.deviation < 1e-6 * target.deviation] = 1.0
    axis = channel_axis(layer) % value.dim()
    weight = parameter(module, layer.node.inputs[layer.weight])
    weight.mul_(_along(gain, weight.dim(), layer.axis or 0).to(weight.dtype))
    if layer.bias is None:
        return value * _along(gain, value.dim(), axis).to(value.dtype)
    bias = parameter(module, layer.bias[0].inputs[layer.bias[1]])
    bias.copy_(((bias.reshape(-1) - found.mean) * gain + target.mean).reshape(bias.shape))
    shift = target.mean - found.mean * gain
    return value * _along(gain, value.dim(), axis).to(value.dtype) + _along(shift, value.dim(), axis).to(value.dtype)


def _along(numbers: "Tensor", rank: int, axis: int) -> "Tensor":
    return numbers.reshape([-1 if i == axis else 1 for i in range(rank)])


def _normalised(node: Node) -> Value | None:
    return node.inputs[0] if node.op_type == "BatchNormalization" and not node.domain else None


def _measure_anew(module: "fx.GraphModule", node: Node, value: "Tensor") -> None:
    rows = value.movedim(1, 0).flatten(1)
    parameter(module, node.inputs[3]).copy_(rows.mean(dim=1))
    parameter(module, node.inputs[4]).copy_(rows.var(dim=1, correction=0))
