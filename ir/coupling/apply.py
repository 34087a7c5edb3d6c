"""Carry out a cut: nodes follow by their rules, constants lose what was cut, shapes are brought up to date."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from galen.ir import GalenError, Graph, Model, Node, Shape, TensorProtocol, Value
from galen.ir.coupling.analysis import rule_of
from galen.ir.coupling.constants import drop_unused_constant, sliced
from galen.ir.coupling.cut import Cut
from galen.ir.coupling.operands import operand_key
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule, nothing
from galen.ir.coupling.rules import RULES
from galen.ir.edit import Names, all_graphs, all_nodes, const_tensor, register_tensor


def apply_cut(model: Model, cut: Cut, rules: Mapping[tuple[str, str], Rule] = RULES) -> bool:
    """Remove from `model`, in place, what `cut` does not keep; return whether there was anything to remove.

    `model` must be the one that was coupled, or a copy of it.
    """
    if not cut:
        return False
    nodes, names = list(all_nodes(model)), Names(model)
    constants = [use for node in nodes for use in _cut_constants(node, cut)]
    rewriter = Rewriter(cut, model.opset_imports.get("", 0), names)
    for node in nodes:
        rule = rule_of(node, rules)
        if rule is not None and rule.rewrite is not nothing and rewriter.enter(node):
            rule.rewrite(rewriter)
    _cut_constants_of(constants, cut, names)
    for graph in all_graphs(model):
        for value in graph.inputs:
            _cut_shape(value, cut)
    for node in nodes:
        for value in node.outputs:
            _cut_shape(value, cut)
    return True


@dataclass(frozen=True)
class _Use:
    """A constant that a node reads, under the name its axes are tracked by."""

    node: Node
    index: int
    key: str
    value: Value
    tensor: TensorProtocol


def _cut_constants(node: Node, cut: Cut) -> Iterator[_Use]:
    for index, value in enumerate(node.inputs):
        tensor = const_tensor(value)
        if value is not None and tensor is not None and cut.touches(key := operand_key(node, index)):
            yield _Use(node, index, key, value, tensor)


def _cut_constants_of(uses: list[_Use], cut: Cut, names: Names) -> None:
    """Let every cut constant hold what stays; uses that see different values part ways."""
    parts = {key: sliced(use.tensor, cut.axes[key]) for key, use in {use.key: use for use in uses}.items()}
    shared = []
    for use in uses:
        if use.value.is_initializer() and len(use.value.uses()) == 1:
            _hold(use.value, parts[use.key])
        else:
            shared.append(use)
    _part(shared, parts, names)


def _hold(value: Value, tensor: TensorProtocol) -> None:
    """Let an initializer that nobody else reads hold another tensor of its type."""
    tensor.name = value.name
    value.const_value, value.shape = tensor, Shape(tensor.shape.numpy())


def _part(uses: list[_Use], parts: Mapping[str, TensorProtocol], names: Names) -> None:
    """Replace constants by new ones, one for all uses that see the same values."""
    replaced: dict[tuple[str, bytes], Value] = {}
    for use in uses:
        name = str(use.value.name)
        part = name, b"" if use.key == name else parts[use.key].tobytes()
        if part not in replaced:
            replaced[part] = register_tensor(_graph_of(use), parts[use.key], names.fresh(name))
        use.node.replace_input_with(use.index, replaced[part])
    heirs = {name: value for (name, _), value in reversed(replaced.items())}
    for use in uses:
        name = str(use.value.name)
        if drop_unused_constant(use.value) and (heir := heirs.pop(name, None)) is not None:
            heir.name = name


def _graph_of(use: _Use) -> Graph:
    graph = use.value.graph or use.node.graph
    if not isinstance(graph, Graph):
        raise GalenError("the node belongs to a function", where=use.node.name, hint="inline functions first: simplify")
    return graph


def _cut_shape(value: Value, cut: Cut) -> None:
    if value.shape is not None and cut.touches(str(value.name)):
        kept = cut.axes[str(value.name)]
        value.shape = Shape([len(kept[axis]) if axis in kept else dim for axis, dim in enumerate(value.shape)])
