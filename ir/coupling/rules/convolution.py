"""Convolutions: a filter per output channel, summed over input channels; in groups, position by position.

Cutting position p of one group cuts it from all groups, which keeps them equally long. A group with one input channel
(depthwise) has no position to cut: there the groups themselves are cut.
"""

from galen.ir.coupling.axes import NONE, Axes
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule


def couple_conv(axes: Axes, *, data: int = 0, weight: int = 1, bias: int = 2) -> None:
    """Tie X `[N, C, ...]`, W `[M, C / group, ...]`, B `[M]` and Y `[N, M, ...]`."""
    dims, kernel = axes.input_dims(data), axes.input_dims(weight)
    if dims is None or kernel is None or dims[1] is None or kernel[0] is None:
        return
    groups = axes.attribute("group", 1)
    _batch(axes, data)
    outputs = axes.output(0, 1)
    axes.tie(axes.input(weight, 0), outputs)
    axes.layer(weight, 0, 1)
    axes.start(outputs)
    if axes.input_dims(bias) is not None:
        axes.tie(axes.input(bias, 0), outputs)
    if groups == 1:
        axes.tie(axes.sum_over(data, 1), axes.input(weight, 1))
        return
    _couple_groups(axes, data, weight, groups, outputs_per_group=kernel[0] // groups)


def _couple_groups(axes: Axes, data: int, weight: int, groups: int, outputs_per_group: int) -> None:
    inputs = axes.sum_over(data, 1).reshape(groups, -1)
    outputs = axes.output(0, 1).reshape(groups, outputs_per_group)
    if inputs.shape[1] == 1:
        for position in range(outputs_per_group):
            axes.tie(inputs[:, 0], outputs[:, position])
        return
    kernel = axes.input(weight, 1)
    for group in range(groups):
        axes.tie(inputs[group], kernel)
        axes.tie(outputs[group], outputs[0])


def couple_transposed(axes: Axes) -> None:
    """Tie X `[N, C, ...]`, W `[C, M / group, ...]`, B `[M]` and Y `[N, M, ...]`."""
    dims, kernel = axes.input_dims(0), axes.input_dims(1)
    if dims is None or kernel is None or dims[1] is None or kernel[1] is None:
        return
    groups = axes.attribute("group", 1)
    _batch(axes, 0)
    outputs = axes.output(0, 1)
    axes.layer(1, 1, 0)
    axes.start(outputs)
    if axes.input_dims(2) is not None:
        axes.tie(axes.input(2, 0), outputs)
    inputs, rows, columns = axes.sum_over(0, 1), axes.input(1, 0), axes.input(1, 1)
    axes.tie(inputs, rows)
    if groups == 1:
        axes.tie(columns, outputs)
        return
    _couple_transposed_groups(axes, groups, len(outputs) // groups)


def _couple_transposed_groups(axes: Axes, groups: int, outputs_per_group: int) -> None:
    inputs = axes.input(0, 1).reshape(groups, -1)
    outputs = axes.output(0, 1).reshape(groups, outputs_per_group)
    columns = axes.input(1, 1)
    if inputs.shape[1] == 1:
        axes.freeze(columns, f"{axes.label} has one input channel per group")
        for position in range(outputs_per_group):
            axes.tie(inputs[:, 0], outputs[:, position])
        return
    for group in range(groups):
        axes.tie(inputs[group], inputs[0])
        if outputs_per_group > 1:
            axes.tie(outputs[group], columns)
    if outputs_per_group == 1:
        axes.freeze(outputs.ravel(), f"{axes.label} has one output channel per group")


def rewrite_group(rewriter: Rewriter) -> None:
    """Count the groups again: they only change where a group has one input channel."""
    groups = rewriter.attribute("group", 1)
    kept = rewriter.input(0, 1)
    if kept is None or groups == 1:
        return
    channels = rewriter.input_length(0, 1)
    if channels == groups:
        rewriter.set_attribute("group", len(kept))


def _batch(axes: Axes, data: int) -> None:
    axes.tie(axes.input(data, 0), axes.output(0, 0))


def couple_deformable(axes: Axes) -> None:
    """Tie X, W, offset (whole), B and Y as in a plain convolution."""
    couple_conv(axes, bias=3)


def couple_quantized(axes: Axes) -> None:
    """Tie QLinearConv's operands: X, W and B at 0, 3 and 8; W's scale and zero point may be per output channel."""
    couple_conv(axes, weight=3, bias=8)
    for parameter in (4, 5):
        if (ids := axes.input(parameter, 0) if axes.input_dims(parameter) else NONE).size:
            axes.tie(ids, axes.output(0, 1))


RULES = {
    "Conv": Rule(couple_conv, rewrite_group),
    "ConvInteger": Rule(couple_conv, rewrite_group),
    "QLinearConv": Rule(couple_quantized, rewrite_group),
    "ConvTranspose": Rule(couple_transposed, rewrite_group),
    "DeformConv": Rule(couple_deformable, rewrite_group),
}
