"""Reductions: the axes that remain pass; over a cut axis the statistic is that of the channels that stay."""

from galen.ir.coupling.axes import Axes
from galen.ir.coupling.rule import Rule

OPERATORS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]


def couple_reduce(axes: Axes) -> None:
    """Tie every axis that is not reduced to its place in the output."""
    dims = axes.input_dims(0)
    if dims is None:
        return
    over = axes.attribute("axes")
    if over is None and len(axes.node.inputs) > 1 and axes.node.inputs[1] is not None:
        constant = axes.constant(1)
        if constant is None:
            return
        over = constant.tolist()
    if not over and axes.attribute("noop_with_empty_axes", 0):
        over = []
    elif not over:
        over = list(range(len(dims)))
    couple_without(axes, {axis % len(dims) for axis in over}, keep=bool(axes.attribute("keepdims", 1)))


def couple_without(axes: Axes, over: set[int], *, keep: bool) -> None:
    """Tie the axes of input 0 that are not in `over` to those of output 0, in order."""
    place = 0
    for axis in range(len(axes.input_dims(0) or ())):
        if axis in over:
            axes.reduce(0, axis)
            place += keep
        else:
            axes.tie(axes.input(0, axis), axes.output(0, place))
            place += 1


def couple_arg(axes: Axes) -> None:
    """Tie all axes but the one whose positions are the result."""
    dims = axes.input_dims(0)
    if dims is None:
        return
    axis, place = axes.along(dims, 0), 0
    for other in range(len(dims)):
        if other != axis:
            axes.tie(axes.input(0, other), axes.output(0, place))
        place += other != axis or bool(axes.attribute("keepdims", 1))


def couple_along(axes: Axes) -> None:
    """Tie all axes but `axis`, along which positions matter (CumSum, TopK)."""
    dims = axes.input_dims(0)
    if dims is None:
        return
    axis = axes.attribute("axis", -1)
    if axes.node.op_type == "CumSum":
        constant = axes.constant(1)
        if constant is None:
            return
        axis = int(constant.item())
    for other in range(len(dims)):
        if other != axis % len(dims):
            for output in range(len(axes.node.outputs)):
                axes.tie(axes.input(0, other), axes.output(output, other))


RULES = {
    **{f"Reduce{name}": Rule(couple_reduce) for name in OPERATORS},
    "ArgMax": Rule(couple_arg),
    "ArgMin": Rule(couple_arg),
    "CumSum": Rule(couple_along),
    "TopK": Rule(couple_along),
}
