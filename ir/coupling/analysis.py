"""From a model to its groups of channels: run the rules, join what they tie, drop what is frozen, name the rest."""

from collections.abc import Iterable, Mapping

from galen.ir import GalenError, Graph, Model, Node, Value, plugins
from galen.ir.coupling.axes import Axes
from galen.ir.coupling.channels import Coupling
from galen.ir.coupling.grouping import find_groups
from galen.ir.coupling.operands import dims_of
from galen.ir.coupling.rule import Rule
from galen.ir.coupling.rules import RULES
from galen.ir.edit import all_nodes, subgraphs_of
from galen.ir.shapes import infer

GROUP = "galen.rules"
"""Entry points of other packages' coupling rules, each named `domain.Operator`."""


def couple(model: Model, rules: Mapping[tuple[str, str], Rule] = RULES, *, heads: bool = False) -> Coupling:
    """Return which channels of `model` must be cut together, and which must stay and why.

    The model is not changed but for shapes that were not known yet. An operator without a rule keeps all axes of what
    it touches whole.

    Args:
        model: shapes of its values should be known (pass `simplify`); what is unknown stays uncut.
        rules: the table to use, by (domain, operator type).
        heads: where attention could lose whole heads or dimensions of every head, choose heads.
    """
    if any(value.shape is None for node in all_nodes(model) for value in node.outputs if value.name):
        infer(model)
    axes = trace_axes(model, rules)
    return find_groups(axes, prefer=axes.heads if heads else ())


def trace_axes(model: Model, rules: Mapping[tuple[str, str], Rule] = RULES) -> Axes:
    """Return what the rules say of every node, before anything is concluded from it."""
    axes = Axes(model.opset_imports.get("", 0))
    for value in model.graph.inputs:
        _freeze(axes, value, f"input {value.name} of the model keeps its shape")
    for value in model.graph.outputs:
        _freeze(axes, value, f"output {value.name} of the model keeps its shape")
    _walk(model.graph, axes, rules)
    return axes


def _walk(graph: Iterable[Node], axes: Axes, rules: Mapping[tuple[str, str], Rule]) -> None:
    for node in graph:
        if not node.inputs and node.op_type == "Constant":
            continue
        axes.enter(node)
        rule = rule_of(node, rules)
        if rule is not None:
            rule.couple(axes)
        axes.leave()
        for body in subgraphs_of(node):
            if rule is None:
                _freeze_graph(axes, body)
            _walk(body, axes, rules)


def rule_of(node: Node, rules: Mapping[tuple[str, str], Rule] = RULES) -> Rule | None:
    """Return the rule of a node's operator, that of another package where the table has none, None without any.

    Raises:
        GalenError: what the other package registers is no rule.
    """
    domain = "" if node.domain == "ai.onnx" else node.domain
    rule = rules.get((domain, node.op_type)) or plugins.find(GROUP, f"{domain}.{node.op_type}".lstrip("."))
    if rule is not None and not isinstance(rule, Rule):
        raise GalenError("is no galen.ir.coupling.Rule", where=f"entry point of {node.op_type} in {GROUP}")
    return rule


def _freeze(axes: Axes, value: Value, reason: str) -> None:
    for axis in range(len(dims_of(value) or ())):
        axes.freeze(axes.of(value, axis), reason)


def _freeze_graph(axes: Axes, body: Graph) -> None:
    for value in (*body.inputs, *body.outputs):
        _freeze(axes, value, f"{value.name} belongs to an operator without a coupling rule")
