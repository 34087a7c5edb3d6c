"""Pad of dense tensors, and of images along rows and columns."""

from math import prod

import numpy as np

from galen.backends.kernels.pad import Pad
from galen.backends.lower.lowering import Lowering
from galen.ir import Node
from galen.ir.edit import attribute, const_value

MODES = ("constant", "edge", "reflect", "wrap")


def pad(low: Lowering, node: Node) -> bool:
    """Lower Pad by constant numbers of elements."""
    spec, sink = low.spec(node.inputs[0]), low.spec(node.outputs[0])
    mode, widths, value = attribute(node, "mode", "constant"), _widths(node, len(spec.shape)), _value(node)
    if widths is None or value is None or mode not in MODES or 0 in (prod(spec.shape), prod(sink.shape)):
        return False
    if mode != "constant" and not all(_near(*axis, mode) for axis in zip(*widths, spec.shape, strict=True)):
        return False
    shape, before, after = _joined(spec.shape, *widths)
    kernel = Pad(shape, before, after, mode, value, spec.dtype)
    read = low.view(low.dense(node.inputs[0]), shape)
    low.call(kernel, (read, low.view(low.define(node.outputs[0], sink), kernel.args[1].shape)), node)
    return True


def _near(before: int, after: int, extent: int, mode: str) -> bool:
    """Return whether the padding of an axis repeats no element twice."""
    limit = {"edge": max(before, after), "reflect": extent - 1, "wrap": extent}[mode]
    return 0 <= before <= limit and 0 <= after <= limit


def _widths(node: Node, rank: int) -> tuple[list[int], list[int]] | None:
    """Return the elements before and after every axis, None where they are computed."""
    given = attribute(node, "pads")
    if given is None:
        array = const_value(node.inputs[1])
        if array is None:
            return None
        given = [int(i) for i in array.ravel()]
    axes: list[int] = list(range(rank))
    if len(node.inputs) > 3 and node.inputs[3] is not None:
        chosen = const_value(node.inputs[3])
        if chosen is None:
            return None
        axes = [int(i) % rank for i in chosen.ravel()]
    before, after = [0] * rank, [0] * rank
    for place, axis in enumerate(axes):
        before[axis], after[axis] = given[place], given[place + len(axes)]
    return before, after


def _value(node: Node) -> float | None:
    """Return the constant that is padded with, None where it is computed."""
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return float(attribute(node, "value", 0.0))
    array = const_value(node.inputs[2])
    return None if array is None else np.asarray(array).item()


def _joined(
    shape: tuple[int, ...], before: list[int], after: list[int]
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Join neighbouring axes that are not padded."""
    axes: list[tuple[int, int, int]] = []
    for axis in zip(shape, before, after, strict=True):
        if axes and axis[1:] == axes[-1][1:] == (0, 0):
            axes[-1] = axes[-1][0] * axis[0], 0, 0
        else:
            axes.append(axis)
    extents, first, last = zip(*axes, strict=True)
    return extents, first, last
