"""The model that a cut must agree with: uncut, but what is cut contributes nothing.

Where a node sums products over a cut axis, cut channels are multiplied by zero at its inputs. Where a node takes a
statistic over a cut axis, it sees the channels that stay only. Written without the rules that rewrite nodes, so that
comparing a cut model with its mask proves them.
"""

from collections.abc import Iterable

import numpy as np

from galen.ir import Model, Node, Value
from galen.ir.clone import clone
from galen.ir.coupling.analysis import rule_of, trace_axes
from galen.ir.coupling.axes import Ids, dims_of, operand_key
from galen.ir.coupling.cut import Cut
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.edit import const_value


def mask(model: Model, cut: Cut) -> Model:
    """Return a copy of `model`, of unchanged shapes, that computes what the cut model must compute."""
    masked = clone(model)
    axes = trace_axes(masked)
    editor = Rewriter(masked, cut)
    sums = [(touch, cut.kept(operand_key(touch.node, touch.index), touch.axis)) for touch in axes.sums]
    reduced = {touch.node: None for touch in axes.reductions if _is_cut(touch.node, touch.index, touch.axis, cut)}
    for touch, kept in sums:
        if kept is not None:
            editor.enter(touch.node)
            _zero(editor, touch.index, touch.axis, kept)
    for node in reduced:
        editor.enter(node)
        _narrow(editor, node)
    return masked


def _is_cut(node: Node, index: int, axis: int, cut: Cut) -> bool:
    return cut.kept(operand_key(node, index), axis) is not None


def _zero(editor: Rewriter, index: int, axis: int, kept: Ids) -> None:
    """Multiply an input by 1 where it is kept and by 0 elsewhere."""
    value = editor.given(index)
    rank, length = editor.input_rank(index), editor.input_length(index, axis)
    shape = [length if place == axis % rank else 1 for place in range(rank)]
    constant = const_value(value)
    dtype = constant.dtype if constant is not None else value.dtype.numpy() if value.dtype else np.dtype(np.float32)
    ones = np.isin(np.arange(length), kept).astype(dtype).reshape(shape)
    if constant is not None:
        editor.set_input(index, constant * ones)
    else:
        editor.insert_before(index, Node("", "Mul", [value, editor.constant_value(ones, f"{value.name}_mask")]))


def _narrow(editor: Rewriter, node: Node) -> None:
    """Let a node see only what is kept of its inputs, and stretch its outputs to the old length again.

    What stands in the place of a cut channel after that is arbitrary: nothing may depend on it.
    """
    inputs = [(i, axis, editor.input(i, axis)) for i, value in enumerate(node.inputs) for axis in _axes(value)]
    outputs = [(axis, editor.output(0, axis)) for axis in _axes(node.outputs[0])]
    rule = rule_of(node)
    if rule is not None:
        rule.rewrite(editor)
    for index, axis, kept in inputs:
        if kept is not None:
            editor.gather_input(index, axis, kept)
    for axis, kept in outputs:
        if kept is not None:
            length = editor.output_length(0, axis)
            editor.gather_output(axis, np.searchsorted(kept, np.arange(length)).clip(max=len(kept) - 1))


def _axes(value: Value | None) -> Iterable[int]:
    return range(len(dims_of(value) or ()))
