"""Operators that pick or repeat positions of an axis: Slice, Gather, Tile, Expand."""

import numpy as np

from galen.ir import Node
from galen.ir.coupling.axes import Axes, Ids
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule
from galen.ir.coupling.weights import is_weight
from galen.ir.edit import attribute, const_value


def couple_slice(axes: Axes) -> None:
    """Tie the elements of the range; axes that are not sliced pass."""
    dims, windows = axes.input_dims(0), slice_windows(axes.node)
    if dims is None or windows is None:
        return
    for axis, dim in enumerate(dims):
        window = windows.get(axis % len(dims), windows.get(axis - len(dims), slice(None)))
        inputs, outputs = axes.input(0, axis), axes.output(0, axis)
        if isinstance(dim, int):
            picked = inputs[window] if dim > 1 else inputs
            if len(picked) == 1 and len(outputs) == 0:
                axes.freeze(picked, f"{axes.label} picks one element")
            else:
                axes.tie(picked, outputs)
        elif window != slice(None):
            axes.freeze(outputs, f"{axes.label} slices an axis of unknown length")


def slice_windows(node: Node) -> dict[int, slice] | None:
    """Return the range per axis (as given, possibly negative), None when it is computed."""
    if attribute(node, "starts") is not None:
        starts, ends = attribute(node, "starts"), attribute(node, "ends")
        over = attribute(node, "axes", list(range(len(starts))))
        return {axis: slice(a, b) for axis, a, b in zip(over, starts, ends, strict=True)}
    given = [const_value(value) for value in node.inputs[1:]]
    if any(value is not None and array is None for value, array in zip(node.inputs[1:], given, strict=True)):
        return None
    starts, ends, over, steps = (*given, None, None)[:4]
    if starts is None or ends is None:
        return None
    over = np.arange(len(starts)) if over is None else over
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    return {
        int(axis): slice(int(a), None if step < 0 and b < -(2**31) + 1 else int(b), int(step))
        for axis, a, b, step in zip(over, starts, ends, steps, strict=True)
    }


def rewrite_slice(rewriter: Rewriter) -> None:
    """Express the picked elements that remain as a range of the axis that remains, or gather them where it is none."""
    windows = slice_windows(rewriter.node)
    rank = rewriter.input_rank(0)
    if windows is None or all(rewriter.input(0, axis) is None for axis in windows):
        return
    starts, ends, over, steps = [], [], [], []
    for axis, window in windows.items():
        start, end, step = window.start, window.stop, window.step or 1
        kept, length = rewriter.input(0, axis), rewriter.input_length(0, axis)
        if kept is not None:
            places = np.searchsorted(kept, _remaining(np.arange(length)[window], kept))
            if len(set(np.diff(places))) > 1:
                rewriter.gather_input(0, axis % rank, places)
                places = np.arange(len(places))
            start, end, step = _range(places)
        starts.append(start)
        ends.append(_BEFORE_FIRST if end is None else end)
        over.append(axis % rank)
        steps.append(step)
    _set_windows(rewriter, starts, ends, over, steps)


_BEFORE_FIRST = int(np.iinfo(np.int64).min)


def _remaining(picked: Ids, kept: Ids) -> Ids:
    return picked[np.isin(picked, kept)]


def _range(places: Ids) -> tuple[int, int, int]:
    """Return start, end and step of evenly spaced positions."""
    if not len(places):
        return 0, 0, 1
    first, last = int(places[0]), int(places[-1])
    step = int(places[1]) - first if len(places) > 1 else 1
    end = last + 1 if step > 0 else last - 1
    return first, _BEFORE_FIRST if end < 0 else end, step


def _set_windows(rewriter: Rewriter, *columns: list[int]) -> None:
    if rewriter.attribute("starts") is not None:
        for name, column in zip(("starts", "ends", "axes"), columns[:3], strict=True):
            rewriter.set_attribute(name, column)
        return
    for index, column in enumerate(columns, start=1):
        rewriter.set_input(index, np.array(column, np.int64))


def couple_gather(axes: Axes) -> None:
    """Tie picked elements to the output where the indices are a constant vector; else the picked axis stays.

    The other axes of the data pass around the axes of the indices. A constant table starts them (an embedding).
    """
    data, indices = axes.input_dims(0), axes.input_dims(1)
    if data is None or indices is None:
        return
    along = axes.along(data, 0)
    for axis in range(len(data)):
        if axis != along:
            place = axis if axis < along else axis + len(indices) - 1
            axes.tie(axes.input(0, axis), axes.output(0, place))
            if is_weight(axes.node.inputs[0]) and not is_weight(axes.node.inputs[1]):
                axes.start(axes.output(0, place))
                axes.layer(0, axis, along)
    constant = axes.constant(1)
    if constant is not None and constant.ndim == 1 and constant.size > 1 and isinstance(data[along], int):
        picked = axes.input(0, along)
        axes.tie(picked[constant] if len(picked) else picked, axes.output(0, along))
    elif constant is None:
        for axis in range(len(indices)):
            axes.tie(axes.input(1, axis), axes.output(0, along + axis))


def rewrite_gather(rewriter: Rewriter) -> None:
    """Number the picked positions anew."""
    axis = rewriter.attribute("axis", 0)
    kept, indices = rewriter.input(0, axis), rewriter.constant(1)
    length = rewriter.input_length(0, axis)
    if kept is None or indices is None:
        return
    picked = indices % length
    rewriter.set_input(1, np.searchsorted(kept, picked[np.isin(picked, kept)]).astype(indices.dtype))


def couple_tile(axes: Axes) -> None:
    """Tie every repetition to the axis that is repeated; copies of an axis of length 1 are new."""
    dims, repeats = axes.input_dims(0), axes.constant(1)
    if dims is None or repeats is None:
        return
    for axis, dim in enumerate(dims):
        inputs, outputs = axes.input(0, axis), axes.output(0, axis)
        if isinstance(dim, int) and dim > 1:
            for copy in outputs.reshape(-1, dim):
                axes.tie(inputs, copy)


def rewrite_tile(rewriter: Rewriter) -> None:
    """Repeat an axis of length 1 as often as copies remain."""
    lengths = rewriter.output_lengths()
    new = {axis: length for axis, length in lengths.items() if rewriter.input_length(0, axis) == 1}
    if new:
        rewriter.set_lengths(1, new)


def couple_expand(axes: Axes) -> None:
    """Tie axes that are not stretched (aligned at the right); copies of an axis of length 1 are new."""
    dims, out = axes.input_dims(0), axes.output_dims(0)
    if dims is None or out is None:
        return
    for axis in range(len(out)):
        place = axis - len(out) + len(dims)
        outputs = axes.output(0, axis)
        if place >= 0 and dims[place] != 1:
            axes.tie(axes.input(0, place), outputs)


def rewrite_expand(rewriter: Rewriter) -> None:
    """Give the new lengths of the cut axes."""
    lengths = rewriter.output_lengths()
    lead = rewriter.output_rank(0) - (rewriter.input_length(1, 0) or rewriter.output_rank(0))
    shifted = {axis - lead: length for axis, length in lengths.items() if axis >= lead}
    if shifted:
        rewriter.set_lengths(1, shifted)


RULES = {
    "Slice": Rule(couple_slice, rewrite_slice),
    "Gather": Rule(couple_gather, rewrite_gather),
    "Tile": Rule(couple_tile, rewrite_tile),
    "Expand": Rule(couple_expand, rewrite_expand),
}
