"""Give every constant the same form: an initializer that is not an input."""

from dataclasses import dataclass

from galen.ir import Model, Node
from galen.ir.edit import Names, all_nodes, const_tensor, owner, register_tensor
from galen.ir.library import RemoveInitializersFromInputsPass, applied
from galen.passes.base import Pass


@dataclass(frozen=True)
class LiftConstants(Pass, name="lift-constants"):
    """Turn Constant nodes into initializers, and take initializers off the list of inputs.

    An input with a default value stops being one: nobody can override a weight any more.
    """

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether there was a Constant node or an overridable initializer."""
        changed = applied(RemoveInitializersFromInputsPass(), model)
        names = Names(model)
        for node in all_nodes(model):
            if node.op_type == "Constant" and not node.domain and not node.outputs[0].is_graph_output():
                changed |= _lift(node, names)
        return changed


def _lift(node: Node, names: Names) -> bool:
    output = node.outputs[0]
    if "sparse_value" in node.attributes or (tensor := const_tensor(output)) is None:
        return False
    name = output.name or names.fresh("constant")
    output.name = None
    output.replace_all_uses_with(register_tensor(owner(node), tensor, name))
    owner(node).remove(node, safe=True)
    return True
