"""Write down the shapes that follow from the inputs' shapes."""

from dataclasses import dataclass

from galen.ir import Model
from galen.ir.shapes import infer
from galen.passes.base import Pass


@dataclass(frozen=True)
class InferShapes(Pass, name="infer-shapes"):
    """Fill in the types and shapes of values by ONNX shape inference; known ones stay."""

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was learnt."""
        return infer(model)
