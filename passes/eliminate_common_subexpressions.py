"""Compute equal things once."""

from dataclasses import dataclass

from galen.ir import Model
from galen.ir.edit import all_nodes
from galen.ir.library import CommonSubexpressionEliminationPass, DeduplicateInitializersPass, applied
from galen.passes.base import Pass

_SMALL = 1024


@dataclass(frozen=True)
class EliminateCommonSubexpressions(Pass, name="eliminate-common-subexpressions"):
    """Merge nodes with the same operator, operands and attributes, and equal constants of up to 1,024 elements.

    Large weights stay apart even when equal: training and pruning would tie them. A model that draws with Bernoulli
    stays as it is: two draws are not one.
    """

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was merged."""
        if any(node.op_type == "Bernoulli" for node in all_nodes(model)):
            return False
        merged = applied(DeduplicateInitializersPass(size_limit=_SMALL), model)
        return applied(CommonSubexpressionEliminationPass(), model) or merged
