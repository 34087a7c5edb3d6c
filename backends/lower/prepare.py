"""The form of a model that lowering starts from."""

from galen.ir import Model
from galen.ir.clone import clone
from galen.ir.shapes import Shapes, infer, pin
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.simplify import Simplify


def prepare(model: Model, shapes: Shapes | None = None) -> Model:
    """Return a copy with static shapes, folded constants and BatchNorm, and every node named."""
    copy = clone(model)
    pin(copy, shapes)
    Simplify().apply(copy)
    FoldBatchNorm().apply(copy)
    Simplify().apply(copy)
    infer(copy)
    return copy
