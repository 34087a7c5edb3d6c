"""Weights between ONNX and torch: latent weights behind DequantizeLinear, and the way back after training."""

from dataclasses import dataclass

import numpy as np
import onnx_ir
from torch import fx

from galen.ir.edit import attribute, const_value, set_initializer
from galen.ir.errors import GalenError

PARAMETERS = "parameters"


@dataclass(frozen=True)
class Latent:
    """A weight or bias stored as integers: what training moves are the real numbers `array` behind them.

    Attributes:
        name: of the integer initializer.
        integers: its values.
        scale: the value that holds its scale, one or one per index of `axis`.
    """

    name: str
    array: np.ndarray
    integers: np.ndarray
    scale: onnx_ir.Value
    axis: int


def latent_weight(node: onnx_ir.Node) -> Latent | None:
    """Return what a DequantizeLinear node makes of a constant, None when it dequantizes an activation.

    Raises:
        GalenError: a zero point other than 0: integers that are not symmetric cannot be trained here.
    """
    integers, scale_value = const_value(node.inputs[0]), node.inputs[1]
    if integers is None or scale_value is None:
        return None
    scale = const_value(scale_value)
    if scale is None:
        return None
    zero = const_value(node.inputs[2]) if len(node.inputs) > 2 else None
    if zero is not None and zero.any():
        raise GalenError("weights with a zero point are not symmetric", where=f"node {node.name}")
    axis = int(attribute(node, "axis", 1)) % max(integers.ndim, 1)
    array = integers.astype(scale.dtype) * along(scale, integers.ndim, axis)
    return Latent(str(node.inputs[0].name), array, integers, scale_value, axis)  # type: ignore[union-attr]


def weight_range(latent: Latent) -> tuple[int, int] | None:
    """Return the integers that a stored weight may take, None for binary ones (only -1 and +1).

    The width is the narrowest that holds them: quantization stretches every weight to the ends of its range.
    """
    if latent.integers.dtype.itemsize > 1:
        limits = np.iinfo(latent.integers.dtype)
        return int(limits.min), int(limits.max)
    largest = int(np.abs(latent.integers.astype(np.int32)).max(initial=1))
    if largest == 1 and latent.integers.all():
        return None
    high = 2 ** max(largest, 1).bit_length() - 1
    return -min(high, 127), min(high, 127)


def along(parameter: np.ndarray, rank: int, axis: int) -> np.ndarray:
    """Return per-channel numbers in a shape that broadcasts along `axis` of a tensor of `rank` axes."""
    if parameter.size == 1:
        return parameter.reshape(())
    return parameter.reshape([-1 if i == axis else 1 for i in range(rank)])


def update_weights(model: onnx_ir.Model, module: fx.GraphModule) -> None:
    """Write the trained parameters and BatchNorm statistics of `to_fx(model)` back into `model`.

    Weights behind DequantizeLinear are rounded with their scales.

    Raises:
        GalenError: the module was not made from this model.
    """
    values = onnx_ir.convenience.create_value_mapping(model.graph)
    latent = {
        weight.name: weight
        for node in model.graph
        if node.op_type == "DequantizeLinear" and (weight := latent_weight(node))
    }
    tensors = module.state_dict()
    for name, parameter in module.meta[PARAMETERS].items():
        if name not in values:
            raise GalenError("the model has no such initializer", where=name, hint="made from another model?")
        array = tensors[parameter].detach().cpu().numpy()
        _store(values[name], _rounded(array, latent[name]) if name in latent else array)


def _rounded(array: np.ndarray, latent: Latent) -> np.ndarray:
    scale = const_value(latent.scale)
    if scale is None:
        raise GalenError("has no constant scale", where=latent.name)
    limits = weight_range(latent)
    if limits is None:
        return np.where(array >= 0, 1, -1).astype(latent.integers.dtype)
    steps: np.ndarray = np.rint(array / along(scale, array.ndim, latent.axis).astype(array.dtype))
    clipped: np.ndarray = np.clip(steps, *limits)
    return clipped.astype(latent.integers.dtype)


def _store(value: onnx_ir.Value, array: np.ndarray) -> None:
    if value.shape is not None and tuple(value.shape.numpy()) != array.shape:
        raise GalenError(f"has shape {value.shape}, the parameter {array.shape}", where=str(value.name))
    node = value.producer()
    if node is None:
        set_initializer(value, array)
    else:
        node.attributes.clear()
        node.attributes.add(onnx_ir.AttrTensor("value", onnx_ir.tensor(array, name=value.name)))
