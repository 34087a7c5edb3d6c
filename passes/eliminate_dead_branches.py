"""Decide at compile time what a constant decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from galen.ir import Model, Node, Value
from galen.ir.edit import Names, all_nodes, attribute, bypass, const_value, new_initializer, owner, subgraphs_of
from galen.ir.inline import discard, forward, inline_body
from galen.ir.shapes import static_shape
from galen.passes.base import Pass


@dataclass(frozen=True)
class EliminateDeadBranches(Pass, name="eliminate-dead-branches"):
    """Replace what a constant decides by what it decides for.

    If: its branch. Where: its operand. Loop: its body, or what it starts from, where it runs once or never and collects
    nothing.
    """

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether there was such a node."""
        names, rounds = Names(model), 0
        while sum(_RULES[node.op_type](node, names) for node in _candidates(model)):
            rounds += 1  # a branch may hold another
        return rounds > 0


def _candidates(model: Model) -> list[Node]:
    return [node for node in all_nodes(model) if node.op_type in _RULES and not node.domain]


def _decide_if(node: Node, names: Names) -> bool:
    condition = const_value(node.inputs[0])
    if condition is None:
        return False
    inline_body(attribute(node, "then_branch" if condition.all() else "else_branch"), node, [], names)
    return True


def _decide_loop(node: Node, names: Names) -> bool:
    """A Loop runs while its count lasts and its condition, at first the second input, holds."""
    count, condition = (None if value is None else const_value(value) for value in node.inputs[:2])
    carried = [value for value in node.inputs[2:] if value is not None]
    collects = len(node.outputs) > len(carried)
    if collects or (count is not None and count.size != 1):
        return False
    if (count is not None and count.item() <= 0) or (condition is not None and not condition.all()):
        for output, start in zip(node.outputs, carried, strict=True):
            forward(node, output, start)
        discard(node)
        return True
    unconditional = node.inputs[1] is None or condition is not None
    if count is None or count.item() != 1 or not unconditional:
        return False
    (body,) = subgraphs_of(node)
    first = new_initializer(owner(node), np.array(0, np.int64), names.fresh(f"{node.name or node.op_type}_iteration"))
    true = new_initializer(owner(node), np.array(True), names.fresh(f"{node.name or node.op_type}_condition"))
    del body.outputs[0]  # whether it would go on
    inline_body(body, node, [first, true, *carried], names)
    return True


def _choose_operand(node: Node, _: Names) -> bool:
    condition = const_value(node.inputs[0])
    if condition is None or not (condition.all() or not condition.any()):
        return False
    chosen: Value | None = node.inputs[1 if condition.all() else 2]
    shape = static_shape(node.outputs[0])
    if chosen is None or shape is None or shape != static_shape(chosen):
        return False
    return bypass(node, chosen)


_RULES: Mapping[str, Callable[[Node, Names], bool]] = {
    "If": _decide_if,
    "Loop": _decide_loop,
    "Where": _choose_operand,
}
