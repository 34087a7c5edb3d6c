"""Decide at compile time what a constant decides."""

from dataclasses import dataclass

from galen.ir import Model, Node, Value
from galen.ir.edit import Names, all_nodes, attribute, bypass, const_value, owner, replace_uses
from galen.ir.shapes import static_shape
from galen.passes.base import Pass


@dataclass(frozen=True)
class EliminateDeadBranches(Pass, name="eliminate-dead-branches"):
    """Replace an If with a constant condition by its branch, and a Where with a constant condition by its operand."""

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether there was such a node."""
        names = Names(model)
        changed = False
        for node in all_nodes(model):
            if node.op_type == "If" and not node.domain:
                changed |= _inline_branch(node, names)
            elif node.op_type == "Where" and not node.domain:
                changed |= _choose_operand(node)
        return changed


def _inline_branch(node: Node, names: Names) -> bool:
    condition = const_value(node.inputs[0])
    if condition is None or any(output.is_graph_output() for output in node.outputs):
        return False
    branch = attribute(node, "then_branch" if condition.all() else "else_branch")
    graph = owner(node)
    for value in list(branch.initializers.values()):
        del branch.initializers[str(value.name)]
        value.name = names.fresh(str(value.name))
        graph.register_initializer(value)
    results, nodes = list(branch.outputs), list(branch)
    branch.outputs.clear()
    branch.remove(nodes)
    for moved in nodes:
        moved.name = names.fresh(moved.name or moved.op_type)
        for output in moved.outputs:
            output.name = names.fresh(output.name or moved.op_type)
    graph.insert_before(node, nodes)
    for output, result in zip(node.outputs, results, strict=True):
        replace_uses(output, result)
    graph.remove(node, safe=True)
    return True


def _choose_operand(node: Node) -> bool:
    condition = const_value(node.inputs[0])
    if condition is None or not (condition.all() or not condition.any()):
        return False
    chosen: Value | None = node.inputs[1 if condition.all() else 2]
    shape = static_shape(node.outputs[0])
    if chosen is None or shape is None or shape != static_shape(chosen):
        return False
    return bypass(node, chosen)
