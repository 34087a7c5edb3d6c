"""Operators that join, part or extend an axis: Concat, Split, Pad."""

from itertools import pairwise

import numpy as np

from galen.ir import Node
from galen.ir.coupling.axes import Axes
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule
from galen.ir.edit import attribute, const_value


def couple_concat(axes: Axes) -> None:
    """Tie every input to its range of the output; the other axes pass."""
    out = axes.output_dims(0)
    pieces = [axes.input_dims(index) for index in range(len(axes.node.inputs))]
    if out is None or any(piece is None for piece in pieces):
        return
    _couple_pieces(axes, axes.along(out), split=False)


def couple_split(axes: Axes) -> None:
    """Tie every output to its range of the input; the other axes pass."""
    dims = axes.input_dims(0)
    if dims is None or any(axes.output_dims(index) is None for index in range(len(axes.node.outputs))):
        return
    _couple_pieces(axes, axes.along(dims, 0), split=True)


def _couple_pieces(axes: Axes, along: int, *, split: bool) -> None:
    """Tie the whole (input of a Split, output of a Concat) to its pieces, which follow one another on axis `along`."""
    whole, piece = (axes.input, axes.output) if split else (axes.output, axes.input)
    dims_of_piece = axes.output_dims if split else axes.input_dims
    count = len(axes.node.outputs if split else axes.node.inputs)
    rank = len((axes.input_dims if split else axes.output_dims)(0) or ())
    lengths = [(dims_of_piece(index) or ())[along] for index in range(count)]
    for axis in range(rank):
        if axis != along:
            for index in range(count):
                axes.tie(piece(index, axis), whole(0, axis))
    if not all(isinstance(length, int) for length in lengths):
        return
    ends = np.cumsum([0, *lengths])
    for index, (start, end) in enumerate(pairwise(ends)):
        ids = whole(0, along)[start:end]
        if end - start == 1:
            axes.freeze(ids, f"{axes.label} has a piece of one element")
        else:
            axes.tie(piece(index, along), ids)


def rewrite_split(rewriter: Rewriter) -> None:
    """Give the new lengths of the pieces."""
    axis = rewriter.attribute("axis", 0)
    if rewriter.input(0, axis) is None:
        return
    lengths = [rewriter.new_output_length(index, axis) for index in range(len(rewriter.node.outputs))]
    if rewriter.opset < 13:
        rewriter.set_attribute("split", lengths)
    else:
        rewriter.node.attributes.pop("num_outputs", None)
        rewriter.set_input(1, np.array(lengths, np.int64))


def couple_pad(axes: Axes) -> None:
    """Tie the elements that were there; padded elements of a constant are new. Other modes pad image axes only."""
    dims, pads = axes.input_dims(0), pad_widths(axes.node)
    if dims is None or pads is None:
        return
    for axis, dim in enumerate(dims):
        begin, end = pads[axis], pads[axis + len(dims)]
        if begin == end == 0:
            axes.tie(axes.input(0, axis), axes.output(0, axis))
        elif (
            isinstance(dim, int)
            and dim > 1
            and min(begin, end) >= 0
            and axes.attribute("mode", "constant") == "constant"
        ):
            axes.tie(axes.input(0, axis), axes.output(0, axis)[begin : begin + dim])


def pad_widths(node: Node) -> list[int] | None:
    """Return the widths before and after every axis, None when they are computed."""
    given = attribute(node, "pads")
    if given is not None:
        return list(given)
    constant = const_value(node.inputs[1])
    if constant is None or (len(node.inputs) > 3 and node.inputs[3] is not None):
        return None
    return list(constant.tolist())


def rewrite_pad(rewriter: Rewriter) -> None:
    """Count the padded elements that remain on both sides."""
    pads = pad_widths(rewriter.node)
    if pads is None:
        return
    rank = len(pads) // 2
    for axis in range(rank):
        kept = rewriter.output(0, axis)
        length = rewriter.input_length(0, axis)
        if kept is not None and (pads[axis] or pads[axis + rank]):
            first = pads[axis]
            pads[axis + rank] = int((kept >= first + length).sum())
            pads[axis] = int((kept < first).sum())
    if rewriter.attribute("pads") is not None:
        rewriter.set_attribute("pads", pads)
    else:
        rewriter.set_input(1, np.array(pads, np.int64))


RULES = {
    "Concat": Rule(couple_concat),
    "Split": Rule(couple_split, rewrite_split),
    "Pad": Rule(couple_pad, rewrite_pad),
}
