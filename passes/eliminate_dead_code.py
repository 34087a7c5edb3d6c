"""Remove what no output depends on."""

from dataclasses import dataclass

from galen.ir import Model
from galen.ir.library import RemoveUnusedFunctionsPass, RemoveUnusedNodesPass, RemoveUnusedOpsetsPass, applied
from galen.passes.base import Pass


@dataclass(frozen=True)
class EliminateDeadCode(Pass, name="eliminate-dead-code"):
    """Remove nodes, initializers, functions and opset imports that no graph output depends on.

    Graph inputs stay even when nothing reads them: they are the model's interface.
    """

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was removed."""
        changed = applied(RemoveUnusedNodesPass(), model)
        changed |= applied(RemoveUnusedFunctionsPass(), model)  # type: ignore[no-untyped-call]
        return applied(RemoveUnusedOpsetsPass(), model) or changed
