"""The form of a model that lowering starts from."""

from galen.backends.lower.patterns import fuse_activations
from galen.backends.lower.quantized_edges import fold_weights
from galen.backends.widen import widen
from galen.ir import Model
from galen.ir.clone import clone
from galen.ir.shapes import Shapes, infer, pin
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.simplify import Simplify


def prepare(model: Model, shapes: Shapes | None = None) -> Model:
    """Return a copy with static shapes, constants and BatchNorm folded, nodes named, activations as one node each."""
    copy = clone(model)
    pin(copy, shapes)
    widen(copy)
    Simplify().apply(copy)
    FoldBatchNorm().apply(copy)
    fuse_activations(copy)
    fold_weights(copy)
    Simplify().apply(copy)
    infer(copy)
    return copy
