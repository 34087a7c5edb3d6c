"""The passes that the ONNX project keeps, under one roof: Galen's own passes build on them."""

import onnx_ir
from onnx_ir.passes import PassBase
from onnx_ir.passes.common import (
    ClearMetadataAndDocStringPass,
    CommonSubexpressionEliminationPass,
    DeduplicateInitializersPass,
    InlinePass,
    LiftConstantsToInitializersPass,
    NameFixPass,
    RemoveInitializersFromInputsPass,
    RemoveUnusedFunctionsPass,
    RemoveUnusedNodesPass,
    RemoveUnusedOpsetsPass,
    TopologicalSortPass,
)

__all__ = [
    "ClearMetadataAndDocStringPass",
    "CommonSubexpressionEliminationPass",
    "DeduplicateInitializersPass",
    "InlinePass",
    "LiftConstantsToInitializersPass",
    "NameFixPass",
    "RemoveInitializersFromInputsPass",
    "RemoveUnusedFunctionsPass",
    "RemoveUnusedNodesPass",
    "RemoveUnusedOpsetsPass",
    "TopologicalSortPass",
    "applied",
]


def applied(library_pass: PassBase, model: onnx_ir.Model) -> bool:
    """Run an in-place pass of the library and return whether it changed the model."""
    return bool(library_pass(model).modified)
