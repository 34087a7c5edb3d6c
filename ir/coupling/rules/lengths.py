"""Operators that speak of lengths. Arithmetic on lengths goes on in those before the cut: `Shape` still answers them,
and every operator that takes lengths is given the new ones. So a scale of 1 / sqrt(head size) does not change.
"""

from galen.ir.coupling.axes import Axes
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule
from galen.ir.edit import attribute


def couple_shape(axes: Axes) -> None:
    """Let every axis be cut: the answer is restored by `rewrite_shape`."""
    for axis in range(len(axes.input_dims(0) or ())):
        axes.input(0, axis)


def rewrite_shape(rewriter: Rewriter) -> None:
    """Answer the lengths before the cut."""
    rank = rewriter.input_rank(0)
    start, end, _ = slice(attribute(rewriter.node, "start", 0), attribute(rewriter.node, "end", rank)).indices(rank)
    cut = {a - start: rewriter.input_length(0, a) for a in range(start, end) if rewriter.input(0, a) is not None}
    if cut:
        rewriter.overwrite_output(cut, end - start)


def couple_fill(axes: Axes) -> None:
    """Let every axis of a constant fill be cut."""
    for axis in range(len(axes.output_dims(0) or ())):
        axes.output(0, axis)


def rewrite_fill(rewriter: Rewriter) -> None:
    """Fill the new lengths."""
    lengths = rewriter.output_lengths()
    if lengths:
        rewriter.set_lengths(0, lengths)


RULES = {
    "Shape": Rule(couple_shape, rewrite_shape),
    "ConstantOfShape": Rule(couple_fill, rewrite_fill),
}
