"""Convolutions: a filter per output channel, summed over input channels; in groups, position by position.

Cutting position p of one group cuts it from all groups, which keeps them equally long. A group with one input channel
(depthwise) has no position to cut: there the groups themselves are cut.
"""

from galen.ir.coupling.axes import NONE, Axes, Ids
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule


def couple_conv(axes: Axes) -> None:
    """Tie X `[N, C, ...]`, W `[M, C / group, ...]`, B `[M]` and Y `[N, M, ...]`, and places that are not mixed."""
    couple_channels(axes)
    for axis in range(2, len(axes.input_dims(0) or ())):
        _couple_place(axes, axis)


def couple_channels(axes: Axes, *, weight: int = 1, bias: int = 2, zero: int | None = None) -> None:
    """Tie X `[N, C, ...]`, W `[M, C / group, ...]`, B `[M]` and Y `[N, M, ...]`; all places stay.

    The arguments say which inputs W, B and the zero point of X are.
    """
    dims, kernel = axes.input_dims(0), axes.input_dims(weight)
    if dims is None or kernel is None or dims[1] is None or kernel[0] is None:
        return
    groups = axes.attribute("group", 1)
    _batch(axes)
    outputs = axes.output(0, 1)
    axes.tie(axes.input(weight, 0), outputs)
    axes.layer(weight, 0, 1)
    axes.start(outputs)
    if axes.input_dims(bias) is not None:
        axes.tie(axes.input(bias, 0), outputs)
    inputs = axes.sum_over(0, 1, zero)
    if groups == 1:
        axes.tie(inputs, axes.input(weight, 1))
    else:
        _couple_groups(axes, axes.input(weight, 1), inputs.reshape(groups, -1), outputs.reshape(groups, -1))


def _couple_place(axes: Axes, axis: int) -> None:
    """Tie an axis that the window runs over, if it does not mix it, or if the layer is one filter along this axis.

    Such a filter may run over channels (efficient channel attention): those that are cut are zeros to it.
    """
    before, kernel, after = axes.input_dims(0), axes.input_dims(1), axes.output_dims(0)
    if before is None or kernel is None or after is None or before[axis] != after[axis]:
        return
    if (axes.attribute("strides") or [1] * len(kernel))[axis - 2] != 1:
        return
    if kernel[axis] == 1:
        axes.tie(axes.input(0, axis), axes.output(0, axis))
    elif [length for length in kernel if length != 1] == [kernel[axis]]:
        axes.tie(axes.sum_over(0, axis), axes.output(0, axis))


def _couple_groups(axes: Axes, kernel: Ids, inputs: Ids, outputs: Ids) -> None:
    """Tie the inputs and outputs of a grouped convolution, `[groups, channels of a group]` each."""
    if inputs.shape[1] == 1:
        for position in range(outputs.shape[1]):
            axes.tie(inputs[:, 0], outputs[:, position])
        return
    for group in range(len(inputs)):
        axes.tie(inputs[group], kernel)
        axes.tie(outputs[group], outputs[0])


def couple_transposed(axes: Axes) -> None:
    """Tie X `[N, C, ...]`, W `[C, M / group, ...]`, B `[M]` and Y `[N, M, ...]`."""
    dims, kernel = axes.input_dims(0), axes.input_dims(1)
    if dims is None or kernel is None or dims[1] is None or kernel[1] is None:
        return
    groups = axes.attribute("group", 1)
    _batch(axes)
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


def rewrite_conv(rewriter: Rewriter) -> None:
    """Count the groups again, and let a filter that runs over a cut axis see zeros in the places that are gone."""
    rewrite_group(rewriter)
    for axis in range(2, rewriter.input_rank(0)):
        kept = rewriter.input(0, axis)
        if kept is not None and rewriter.input_length(1, axis) != 1:
            rewriter.spread_input(0, axis, kept)
            rewriter.gather_output(0, axis, kept)


def rewrite_group(rewriter: Rewriter) -> None:
    """Count the groups again: they only change where a group has one input channel."""
    groups = rewriter.attribute("group", 1)
    if groups == 1 or (kept := rewriter.input(0, 1)) is None:
        return
    channels = rewriter.input_length(0, 1)
    if channels == groups:
        rewriter.set_attribute("group", len(kept))


def _batch(axes: Axes) -> None:
    axes.tie(axes.input(0, 0), axes.output(0, 0))


def couple_deformable(axes: Axes) -> None:
    """Tie X, W, offset (whole), B and Y as in a plain convolution."""
    couple_channels(axes, bias=3)


def couple_integer(axes: Axes) -> None:
    """Tie ConvInteger's X and W; their zero points are at 2 and 3, W's possibly per output channel."""
    couple_channels(axes, bias=len(axes.node.inputs), zero=2 if axes.input_dims(2) is not None else None)
    if (axes.input_dims(3) or (1,)) != (1,):
        axes.tie(axes.input(3, 0), axes.output(0, 1))


def couple_quantized(axes: Axes) -> None:
    """Tie QLinearConv's operands: X, W and B at 0, 3 and 8; W's scale and zero point may be per output channel."""
    couple_channels(axes, weight=3, bias=8, zero=2)
    for parameter in (4, 5):
        if (ids := axes.input(parameter, 0) if axes.input_dims(parameter) else NONE).size:
            axes.tie(ids, axes.output(0, 1))


RULES = {
    "Conv": Rule(couple_conv, rewrite_conv),
    "ConvInteger": Rule(couple_integer, rewrite_group),
    "QLinearConv": Rule(couple_quantized, rewrite_group),
    "ConvTranspose": Rule(couple_transposed, rewrite_group),
    "DeformConv": Rule(couple_deformable, rewrite_group),
}
