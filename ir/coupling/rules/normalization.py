"""Normalisations: channels pass together with their scale, bias and statistics.

Where the statistics run over the channels themselves (layer norm, group norm) they are those of the channels that stay.
"""

from galen.ir.coupling.axes import Axes
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule


def couple_batch(axes: Axes) -> None:
    """Tie axis 1 of X and Y with scale, bias, mean and variance; the other axes pass."""
    for axis in range(len(axes.input_dims(0) or ())):
        axes.tie(axes.input(0, axis), axes.output(0, axis))
    for index in range(1, len(axes.node.inputs)):
        axes.tie(axes.input(index, 0), axes.output(0, 1))


def couple_instance(axes: Axes) -> None:
    """Tie axis 1 of X and Y with scale and bias; statistics run over the axes after it."""
    rank = len(axes.input_dims(0) or ())
    for axis in range(rank):
        ask = axes.input if axis < 2 else axes.reduce
        axes.tie(ask(0, axis), axes.output(0, axis))
    for index in (1, 2):
        axes.tie(axes.input(index, 0), axes.output(0, 1))


def couple_layer(axes: Axes) -> None:
    """Tie all axes of X and Y; those from `axis` on are normalised over and carry scale and bias."""
    dims = axes.input_dims(0)
    if dims is None:
        return
    first = axes.along(dims, -1)
    for axis in range(len(dims)):
        ask = axes.reduce if axis >= first else axes.input
        axes.tie(ask(0, axis), axes.output(0, axis))
    for index in range(1, len(axes.node.inputs)):
        _couple_parameter(axes, index, len(dims))


def _couple_parameter(axes: Axes, index: int, rank: int) -> None:
    dims = axes.input_dims(index)
    for axis, dim in enumerate(dims or ()):
        if dims is not None and dim != 1:
            axes.tie(axes.input(index, axis), axes.output(0, rank - len(dims) + axis))


def couple_group(axes: Axes) -> None:
    """Tie X and Y `[N, C, ...]`; position by position across groups, which stay equally long."""
    dims = axes.input_dims(0)
    if dims is None:
        return
    for axis in range(len(dims)):
        ask = axes.input if axis == 0 else axes.reduce
        axes.tie(ask(0, axis), axes.output(0, axis))
    channels = axes.output(0, 1)
    groups = axes.attribute("num_groups")
    parameters = axes.input_dims(1)
    for index in (1, 2):
        if parameters is not None and parameters[0] == len(channels):
            axes.tie(axes.input(index, 0), channels)
        else:
            axes.freeze(channels, f"{axes.label} has a scale per group")
    if len(channels) > groups:
        grid = channels.reshape(groups, -1)
        for group in grid[1:]:
            axes.tie(group, grid[0])


def rewrite_group(rewriter: Rewriter) -> None:
    """Count the groups again where every group is a single channel."""
    kept = rewriter.input(0, 1)
    if kept is not None and rewriter.input_length(0, 1) == rewriter.attribute("num_groups"):
        rewriter.set_attribute("num_groups", len(kept))


def couple_statistic(axes: Axes) -> None:
    """Tie all axes of X and Y; a statistic is taken over `axis` (LpNormalization) or `axes` (mean and variance)."""
    dims = axes.input_dims(0)
    if dims is None:
        return
    over = (
        axes.attribute("axes", [0, 2, 3])
        if axes.node.op_type == "MeanVarianceNormalization"
        else [axes.attribute("axis", -1)]
    )
    normalised = {axis % len(dims) for axis in over}
    for axis in range(len(dims)):
        ask = axes.reduce if axis in normalised else axes.input
        axes.tie(ask(0, axis), axes.output(0, axis))


def couple_softmax(axes: Axes) -> None:
    """Tie all axes but the one that the distribution runs over, which stays: its entries mean something."""
    dims = axes.input_dims(0)
    if dims is None:
        return
    every = range(len(dims))
    whole = [axes.along(dims, -1)] if axes.opset >= 13 else every[axes.attribute("axis", 1) :]
    for other in range(len(dims)):
        if other not in whole:
            axes.tie(axes.input(0, other), axes.output(0, other))


RULES = {
    "BatchNormalization": Rule(couple_batch),
    "InstanceNormalization": Rule(couple_instance),
    "LayerNormalization": Rule(couple_layer),
    "RMSNormalization": Rule(couple_layer),
    "SimplifiedLayerNormalization": Rule(couple_layer),
    "GroupNormalization": Rule(couple_group, rewrite_group),
    "LpNormalization": Rule(couple_statistic),
    "MeanVarianceNormalization": Rule(couple_statistic),
    "Softmax": Rule(couple_softmax),
    "LogSoftmax": Rule(couple_softmax),
    "Hardmax": Rule(couple_softmax),
}
