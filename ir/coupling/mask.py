"""The model that a cut must agree with: uncut, but what is cut contributes nothing.

Where a node sums products over a cut axis, cut channels are multiplied by zero at its inputs. Where a node takes a
statistic over a cut axis, it sees the channels that stay only. Written without the rules that rewrite nodes, so that
comparing a cut model with its mask proves them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from galen.ir import Model, Node
from galen.ir.clone import clone
from galen.ir.coupling.analysis import rule_of, trace_axes
from galen.ir.coupling.axes import Ids, Touch
from galen.ir.coupling.cut import Cut
from galen.ir.coupling.operands import dims_of, operand_key
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.edit import Names, const_value


def mask(model: Model, cut: Cut) -> Model:
    """Return a copy of `model`, of unchanged shapes, that computes what the cut model must compute."""
    masked = clone(model)
    axes = trace_axes(masked)
    editor = Rewriter(cut, masked.opset_imports.get("", 0), Names(masked))
    sums = [(touch, cut.kept(operand_key(touch.node, touch.index), touch.axis)) for touch in axes.sums]
    narrowed = [_narrowing(node, cut) for node in _nodes_that_reduce(axes.reductions, cut)]
    for narrowing in narrowed:
        rule = rule_of(narrowing.node)
        if editor.enter(narrowing.node) and rule is not None:
            rule.rewrite(editor)
    for touch, kept in sums:
        if kept is not None:
            editor.enter(touch.node)
            _zero(editor, touch, kept)
    for narrowing in narrowed:
        editor.enter(narrowing.node)
        _narrow(editor, narrowing)
    return masked


@dataclass(frozen=True)
class _Narrowing:
    """What a node that takes statistics may see: kept places by (input, axis), and by (output, axis, old length)."""

    node: Node
    inputs: list[tuple[int, int, Ids]]
    outputs: list[tuple[int, int, int, Ids]]


def _nodes_that_reduce(touches: Iterable[Touch], cut: Cut) -> list[Node]:
    nodes = {t.node: None for t in touches if cut.kept(operand_key(t.node, t.index), t.axis) is not None}
    return list(nodes)


def _narrowing(node: Node, cut: Cut) -> _Narrowing:
    inputs = [(i, axis, kept) for i in range(len(node.inputs)) for axis, kept in _cut_axes(operand_key(node, i), cut)]
    outputs = [
        (i, axis, int((dims_of(value) or ())[axis] or 0), kept)
        for i, value in enumerate(node.outputs)
        for axis, kept in _cut_axes(str(value.name), cut)
    ]
    return _Narrowing(node, inputs, outputs)


def _cut_axes(key: str, cut: Cut) -> Iterable[tuple[int, Ids]]:
    return cut.axes.get(key, {}).items()


def _zero(editor: Rewriter, touch: Touch, kept: Ids) -> None:
    """Keep an input where it is kept, and let it be zero elsewhere."""
    value = editor.given(touch.index)
    rank, length = editor.input_rank(touch.index), editor.input_length(touch.index, touch.axis)
    stays = np.isin(np.arange(length), kept).reshape([length if axis == touch.axis else 1 for axis in range(rank)])
    zero = editor.node.inputs[touch.zero] if touch.zero is not None else None
    constant, nothing = const_value(value), const_value(zero)
    if constant is not None and (zero is None or nothing is not None):
        editor.set_input(touch.index, np.where(stays, constant, constant.dtype.type(0) if nothing is None else nothing))
    elif zero is None:
        editor.zero_input(touch.index, stays)
    else:
        stay = editor.constant_value(stays, f"{value.name}_mask")
        editor.insert_before(touch.index, Node("", "Where", [stay, value, zero]))


def _narrow(editor: Rewriter, narrowing: _Narrowing) -> None:
    """Let a node see only what is kept of its inputs, and stretch its output to the old length again.

    What stands in the place of a cut channel after that is arbitrary: nothing may depend on it.
    """
    for index, axis, kept in narrowing.inputs:
        editor.gather_input(index, axis, kept)
    for index, axis, length, kept in narrowing.outputs:
        editor.gather_output(index, axis, np.searchsorted(kept, np.arange(length)).clip(max=len(kept) - 1))
