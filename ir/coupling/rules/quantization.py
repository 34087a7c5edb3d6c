"""Quantize and dequantize: all axes pass; scales and zero points per channel follow their channel."""

from galen.ir.coupling.axes import Axes
from galen.ir.coupling.rule import Rule


def couple_quantize(axes: Axes) -> None:
    """Tie X and Y, and vectors of scales and zero points with `axis`. Axes scaled by block stay."""
    dims, scale = axes.input_dims(0), axes.input_dims(1)
    if dims is None or scale is None:
        return
    blocked = axes.along(dims, 1) if len(scale) > 1 else -1
    for axis in range(len(dims)):
        if axis != blocked:
            axes.tie(axes.input(0, axis), axes.output(0, axis))
            for index in range(1, len(axes.node.inputs)):
                if len(axes.input_dims(index) or ()) > 1:
                    axes.tie(axes.input(index, axis), axes.output(0, axis))
    if len(scale) == 1 and scale[0] != 1:
        axis = axes.along(dims, 1)
        for index in range(1, len(axes.node.inputs)):
            if axes.input_dims(index) is not None:
                axes.tie(axes.input(index, 0), axes.output(0, axis))


RULES = dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), Rule(couple_quantize))
