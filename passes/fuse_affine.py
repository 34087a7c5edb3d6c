"""Fold multiplications and additions per channel into the layer before them."""

from dataclasses import dataclass

import numpy as np

from galen.ir import Model, Node, Value
from galen.ir.edit import Names, all_nodes, bypass, const_tensor, const_value, drop_unused
from galen.passes.base import Pass
from galen.passes.fold_batchnorm import FoldBatchNorm, foldable, out_channels, scale_layer

OPERATORS = ("Add", "Div", "Mul", "Sub")


@dataclass(frozen=True)
class FuseAffine(Pass, name="fuse-affine"):
    """Fold BatchNormalization and constant Add, Sub, Mul, Div into the linear layer before them.

    The layer is a Conv, ConvTranspose or Gemm that nothing else reads, the constant one number or one per channel.
    """

    tolerance = 1e-5

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was folded."""
        changed = FoldBatchNorm().apply(model)
        names = Names(model)
        for node in all_nodes(model):
            if node.op_type in OPERATORS and not node.domain:
                changed |= _fuse(node, names)
        return FoldBatchNorm().apply(model) or changed


def _fuse(node: Node, names: Names) -> bool:
    for source, constant in (node.inputs, node.inputs[::-1]):
        array, layer = const_value(constant), foldable(source)
        if array is None or layer is None or layer.graph is not node.graph or not _keeps_shape(array, source):
            continue
        if source is not node.inputs[0] and node.op_type == "Div":
            continue
        channels = _per_channel(array, layer)
        if channels is None:
            continue
        constants = list(node.inputs)
        scale_layer(layer, *_affine(node, channels, source is node.inputs[0]), names)
        bypass(node, layer.outputs[0])
        drop_unused(constants)
        return True
    return False


def _keeps_shape(array: np.ndarray, source: Value | None) -> bool:
    return source is not None and source.shape is not None and array.ndim <= len(source.shape)


def _per_channel(array: np.ndarray, layer: Node) -> np.ndarray | None:
    """Return the constant as a vector over output channels, None when it varies along anything else."""
    channels = out_channels(layer)
    weight = const_tensor(layer.inputs[1])
    rank = 0 if weight is None else len(weight.shape)
    aligned = array.reshape((1,) * (rank - array.ndim) + array.shape).astype(np.float64)
    others = [size for axis, size in enumerate(aligned.shape) if axis != 1]
    if any(size != 1 for size in others) or aligned.shape[1] not in (1, channels):
        return None
    return np.broadcast_to(aligned.reshape(-1), (channels,))


def _affine(node: Node, c: np.ndarray, layer_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift with node(x) = scale x + shift."""
    one, zero = np.ones_like(c), np.zeros_like(c)
    match node.op_type:
        case "Mul":
            return c, zero
        case "Div":
            return one / c, zero
        case "Add":
            return one, c
        case _:
            return (one, -c) if layer_first else (-one, c)
