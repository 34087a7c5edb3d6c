"""Operators that work within a channel: batch and channels pass, the axes that a window runs over stay."""

from galen.ir.coupling.axes import Axes
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule

WINDOWED = ["AveragePool", "MaxPool", "LpPool", "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "GridSample"]


def couple_pool(axes: Axes) -> None:
    """Tie batch and channels of X and Y. Flat indices of maxima count channels in: with them nothing can be cut."""
    if len(axes.node.outputs) > 1 and axes.node.outputs[1].uses():
        return
    for axis in (0, 1):
        axes.tie(axes.input(0, axis), axes.output(0, axis))


def couple_resize(axes: Axes) -> None:
    """Tie the axes whose lengths do not change, of those that are no image axes (0 and 1)."""
    before, after = axes.input_dims(0), axes.output_dims(0)
    if before is None or after is None or axes.attribute("axes") is not None:
        return
    for axis in (0, 1):
        if before[axis] == after[axis]:
            axes.tie(axes.input(0, axis), axes.output(0, axis))


def rewrite_resize(rewriter: Rewriter) -> None:
    """Give the new channel count where sizes are asked for, not scales."""
    if len(rewriter.node.inputs) > 3 and rewriter.node.inputs[3] is not None:
        rewriter.set_lengths(3, rewriter.output_lengths())


def couple_roi(axes: Axes) -> None:
    """Tie the channels of X `[N, C, H, W]` and Y `[rois, C, h, w]`."""
    axes.tie(axes.input(0, 1), axes.output(0, 1))


RULES = {
    **dict.fromkeys(WINDOWED, Rule(couple_pool)),
    "Resize": Rule(couple_resize, rewrite_resize),
    "Upsample": Rule(couple_resize),
    "RoiAlign": Rule(couple_roi),
    "MaxRoiPool": Rule(couple_roi),
}
