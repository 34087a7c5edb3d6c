"""The form of a model that lowering starts from."""

from galen.backends.lower.normalize import is_normalisation
from galen.backends.lower.patterns import fuse_activations, fuse_group_norms, split_batch_norms
from galen.backends.lower.precision import compute_in_single
from galen.backends.lower.quantized_edges import fold_weights
from galen.backends.lower.rerank import rerank
from galen.backends.lower.spare_pairs import drop_spare_pairs
from galen.backends.target import Target
from galen.backends.widen import widen
from galen.ir import Model, Node
from galen.ir.clone import clone
from galen.ir.edit import attribute, const_value
from galen.ir.functions import expand_functions
from galen.ir.shapes import Shapes, infer, pin
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.simplify import Simplify

DEFINED = frozenset(
    {
        "Attention",
        "CausalConvWithState",
        "CenterCropPad",
        "MeanVarianceNormalization",
        "RMSNormalization",
        "RotaryEmbedding",
        "Shrink",
        "SwiGLU",
    }
)
"""Operators that are lowered by way of ONNX's definition of them."""


def prepare(model: Model, target: Target, shapes: Shapes | None = None) -> Model:
    """Return a copy with static shapes, constants and BatchNorm folded, nodes named, activations as one node each.

    What `target` has no fp16 arithmetic or kernel for computes in fp32.
    """
    copy = clone(model)
    pin(copy, shapes)
    widen(copy)
    Simplify().apply(copy)
    FoldBatchNorm().apply(copy)
    compute_in_single(copy, target)
    _expand_defined(copy)
    fuse_activations(copy)
    drop_spare_pairs(copy)
    rerank(copy)
    fold_weights(copy)
    Simplify().apply(copy)
    infer(copy)
    fuse_group_norms(copy)
    split_batch_norms(copy)
    return copy


def _expand_defined(model: Model) -> None:
    """Replace operators by their definitions, and those that are found in these."""
    changed = True
    while changed and any(map(_is_defined, model.graph)):
        infer(model)
        changed = expand_functions(model, _is_defined)


def _is_defined(node: Node) -> bool:
    """Return whether a node is lowered by way of its definition: unusual normalisations, too."""
    if node.op_type == "GroupNormalization":
        return not is_normalisation(node)
    if node.op_type == "Swish":
        return bool(attribute(node, "alpha", 1.0) != 1.0)
    if node.op_type != "LayerNormalization":
        return node.op_type in DEFINED
    shape = node.inputs[0].shape if node.inputs[0] is not None else None
    last = shape is not None and attribute(node, "axis", -1) in (-1, len(shape) - 1)
    return not last or const_value(node.inputs[1]) is None
