"""Remove what no output depends on."""

from dataclasses import dataclass

from galen.ir import Graph, Model
from galen.ir.edit import subgraphs_of
from galen.ir.inline import discard
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
        changed = _sweep(model.graph)
        changed |= applied(RemoveUnusedNodesPass(), model)
        changed |= applied(RemoveUnusedFunctionsPass(), model)  # type: ignore[no-untyped-call]
        return applied(RemoveUnusedOpsetsPass(), model) or changed


def _sweep(graph: Graph) -> bool:
    """Remove unread nodes, last first. The library would forget that a removed If still reads what its bodies read."""
    changed = False
    for node in reversed(graph):
        if not any(output.uses() or output.is_graph_output() for output in node.outputs):
            discard(node)
            changed = True
        else:
            changed |= sum(map(_sweep, subgraphs_of(node))) > 0
    return changed
