"""Bring a model into the plain form that every other pass, the coupling and the compiler work on."""

from collections.abc import Sequence
from dataclasses import dataclass

from galen.ir import Model
from galen.passes.base import Pass
from galen.passes.eliminate_dead_branches import EliminateDeadBranches
from galen.passes.eliminate_dead_code import EliminateDeadCode
from galen.passes.eliminate_identities import EliminateIdentities
from galen.passes.fold_constants import FOLD_LIMIT, FoldConstants
from galen.passes.fold_shapes import FoldShapes
from galen.passes.infer_shapes import InferShapes
from galen.passes.inline_functions import InlineFunctions
from galen.passes.lift_constants import LiftConstants
from galen.passes.name_nodes import NameNodes

ONCE = (InlineFunctions(), LiftConstants(), EliminateDeadCode(), InferShapes())
CLEANING = (EliminateDeadCode(), InferShapes())
ROUNDS = 16


@dataclass(frozen=True)
class Simplify(Pass, name="simplify"):
    """Inline functions, lift and fold constants, fold shapes, remove identities and dead code, name all nodes.

    Dynamic dimensions stay dynamic; pin them first (`pin-shapes`) to fold what depends on them.
    Simplifying twice changes nothing.

    Attributes:
        limit: constants of more elements are not created from smaller ones; see `fold-constants`.
    """

    limit: int = FOLD_LIMIT

    tolerance = 1e-5

    def apply(self, model: Model, /) -> bool:
        """Return whether anything changed."""
        changed = _apply_all(ONCE, model)
        until_stable = FoldShapes(), FoldConstants(self.limit), EliminateDeadBranches(), EliminateIdentities()
        for _ in range(ROUNDS):
            if not _apply_all(until_stable, model):
                break
            changed = True
            _apply_all(CLEANING, model)
        return NameNodes().apply(model) or changed


def _apply_all(steps: Sequence[Pass], model: Model) -> bool:
    return sum(step.apply(model) for step in steps) > 0
