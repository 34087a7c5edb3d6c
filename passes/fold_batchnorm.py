"""Fold BatchNormalization into the layer before it (Jacob et al. 2018, "Quantization and Training", section 3.2)."""

from dataclasses import dataclass

import numpy as np

from galen.ir import Model, Node, Value
from galen.ir.edit import (
    Names,
    all_nodes,
    attribute,
    bypass,
    const_tensor,
    const_value,
    drop_unused,
    new_initializer,
    own_initializer,
    owner,
    set_attribute,
    set_initializer,
)
from galen.passes.base import Pass

LINEAR = ("Conv", "ConvTranspose", "Gemm")


@dataclass(frozen=True)
class FoldBatchNorm(Pass, name="fold-batchnorm"):
    """Fold each BatchNormalization into the Conv, ConvTranspose or Gemm that alone feeds it.

    With s = scale / sqrt(var + epsilon): weight' = weight x s per output channel, bias' = (bias - mean) x s + B,
    computed in double precision. A BatchNormalization in training mode or after anything else stays.
    """

    tolerance = 1e-5

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was folded."""
        names = Names(model)
        changed = False
        for node in all_nodes(model):
            if node.op_type == "BatchNormalization" and not node.domain:
                changed |= _fold(node, names)
        return changed


def _fold(norm: Node, names: Names) -> bool:
    layer = foldable(norm.inputs[0])
    affine = affine_of(norm)
    if layer is None or affine is None or layer.graph is not norm.graph:
        return False
    scale_layer(layer, *affine, names)
    constants = norm.inputs[1:]
    folded = bypass(norm, layer.outputs[0])
    drop_unused(constants)
    return folded


def foldable(source: Value | None) -> Node | None:
    """Return the linear layer that computes `source`, if it has constant weights and just one reader."""
    layer = source.producer() if source is not None else None
    if source is None or layer is None or layer.op_type not in LINEAR or layer.domain:
        return None
    alone = len(source.uses()) == 1 and not source.is_graph_output()
    constant = all(const_tensor(value) is not None for value in layer.inputs[1:])
    return layer if alone and constant else None


def out_channels(layer: Node) -> int:
    """Return the number of output channels of a linear layer with constant weights."""
    tensor = const_tensor(layer.inputs[1])
    assert tensor is not None  # noqa: S101
    dims = tensor.shape.numpy()
    if layer.op_type == "Gemm":
        return dims[0 if attribute(layer, "transB", 0) else 1]
    return dims[0] if layer.op_type == "Conv" else dims[1] * int(attribute(layer, "group", 1))


def affine_of(norm: Node) -> tuple[np.ndarray, np.ndarray] | None:
    """Return s and t with BatchNormalization(x) = s x + t per channel, as doubles; None in training mode."""
    constants = [const_value(value) for value in norm.inputs[1:5]]
    training = attribute(norm, "training_mode", 0) or any(output.uses() for output in norm.outputs[1:])
    if training or len(constants) != 4 or attribute(norm, "spatial", 1) != 1:
        return None
    gamma, beta, mean, var = (None if c is None else c.astype(np.float64) for c in constants)
    if gamma is None or beta is None or mean is None or var is None:
        return None
    scale = gamma / np.sqrt(var + attribute(norm, "epsilon", 1e-5))
    return scale, beta - mean * scale


def scale_layer(layer: Node, scale: np.ndarray, shift: np.ndarray, names: Names) -> None:
    """Let a linear layer compute scale x its output + shift, per output channel. Shared weights are unshared."""
    weight = own_initializer(layer, 1, names)
    old = const_value(weight)
    assert old is not None  # noqa: S101
    new_weight = np.empty_like(old)  # computed in double precision without a double copy of a large weight
    np.multiply(old, _along_outputs(layer, scale, old), out=new_weight, dtype=np.float64, casting="same_kind")
    set_initializer(weight, new_weight)
    bias = const_value(layer.inputs[2]) if len(layer.inputs) > 2 else None
    beta = attribute(layer, "beta", 1.0) if layer.op_type == "Gemm" else 1.0
    new = (shift if bias is None else bias.astype(np.float64) * beta * scale + shift).astype(old.dtype)
    if layer.op_type == "Gemm":
        set_attribute(layer, "beta", 1.0)
    if bias is None:
        layer.resize_inputs(3)
        layer.replace_input_with(
            2, new_initializer(owner(layer), new, names.fresh(f"{layer.name or layer.op_type}.bias"))
        )
    else:
        set_initializer(own_initializer(layer, 2, names), new)


def _along_outputs(layer: Node, scale: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Reshape a vector over output channels so that it multiplies the weight."""
    if layer.op_type == "Gemm":
        return scale[:, None] if attribute(layer, "transB", 0) else scale[None, :]
    if layer.op_type == "Conv":
        return scale.reshape(-1, *[1] * (weight.ndim - 1))
    groups = attribute(layer, "group", 1)  # ConvTranspose: [in, out / groups, ...]
    rows = np.repeat(scale.reshape(groups, -1), weight.shape[0] // groups, axis=0)
    return rows.reshape(*rows.shape, *[1] * (weight.ndim - 2))
