"""Visit the nodes of a prepared model, each with the rules of its operator."""

from galen.backends.lower.fallback import fallback
from galen.backends.lower.homes import homes
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.prepare import prepare
from galen.backends.lower.schedule import schedule
from galen.backends.lower.table import BORDERS, RULES
from galen.backends.program import Program
from galen.backends.target import Target
from galen.ir import Model, Node
from galen.ir.shapes import Shapes


def lower(model: Model, target: Target, shapes: Shapes | None = None) -> Program:
    """Return the calls that compute `model` on `target`.

    Args:
        model: left as it is.
        target: what the kernels are chosen for.
        shapes: input name -> numbers for its dynamic dimensions; an unset batch is 1.

    Raises:
        GalenError: a dimension is unset, or an operator cannot be lowered; names the node.
    """
    low = Lowering(prepare(model, target, shapes), target, BORDERS)
    low.homes.update(homes(low.model.graph, low.border))
    for value in low.fed():
        low.define(value, low.spec(value))
    for node in schedule(low.model.graph):
        if node not in low.absorbed:
            _lower_node(low, node)
    return low.program()


def _lower_node(low: Lowering, node: Node) -> None:
    if not any(rule(low, node) for rule in RULES.get(node.op_type, ())):
        fallback(low, node)
