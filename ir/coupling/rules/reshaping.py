"""Operators that only rearrange axes: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, depth and space.

A merged or split axis follows one of its factors (`Axes.choose`): the channels of a flatten, the head dimension of
attention, the channels within a shuffled group.
"""

from galen.ir import Node
from galen.ir.coupling.axes import NONE, Axes
from galen.ir.coupling.factors import REST, Block, refine
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule
from galen.ir.edit import attribute, const_value


def couple_reshape(axes: Axes) -> None:
    """Tie axes that hold the same elements; where axes merge or split, offer the factors."""
    before, after = axes.input_dims(0), axes.output_dims(0)
    if before is None or after is None or 0 in (*before, *after):
        return
    for block in refine(before, after):
        _couple_block(axes, block)


def _couple_block(axes: Axes, block: Block) -> None:
    factors = {i: axes.inner(size) for i, size in enumerate(block.sizes)}
    sides = [(axis, at, axes.input) for axis, at in block.inputs] + [
        (axis, at, axes.output) for axis, at in block.outputs
    ]
    for axis, at, ask in sides:
        if axis == REST:
            for i in at:
                axes.freeze(factors[i], f"{axes.label} merges it into an axis of unknown length")
        elif len(at) == 1:
            axes.tie(ask(0, axis), factors[at[0]])
        else:
            axes.choose(ask(0, axis), [factors[i] for i in at], [block.sizes[i] for i in at])


def rewrite_reshape(rewriter: Rewriter) -> None:
    """Give the new lengths of the cut axes; 0 and -1 elsewhere still mean what they meant."""
    lengths = rewriter.output_lengths()
    shape = rewriter.constant(1)
    if shape is not None:
        lengths = {axis: length for axis, length in lengths.items() if shape[axis] != -1}
        lengths |= _copied(rewriter, shape.tolist())
    if lengths:
        rewriter.set_lengths(1, lengths)


def _copied(rewriter: Rewriter, shape: list[int]) -> dict[int, int]:
    """Return explicit lengths where the shape says 0 (copy from the input) and the input is cut but the output not."""
    explicit: dict[int, int] = {}
    for axis, length in enumerate(shape):
        if length == 0 and not rewriter.attribute("allowzero", 0) and rewriter.input(0, axis) is not None:
            explicit[axis] = rewriter.new_output_length(0, axis)
    return explicit


def couple_flatten(axes: Axes) -> None:
    """Couple as the reshape that it is."""
    couple_reshape(axes)


def _given_axes(node: Node) -> list[int] | None:
    axes: list[int] | None = attribute(node, "axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1] is not None:
        constant = const_value(node.inputs[1])
        axes = None if constant is None else constant.ravel().tolist()
    return axes


def couple_squeeze(axes: Axes) -> None:
    """Tie the axes that remain, in order."""
    dims, out = axes.input_dims(0), axes.output_dims(0)
    if dims is None or out is None:
        return
    given = _given_axes(axes.node)
    gone = {a % len(dims) for a in given} if given is not None else {a for a, dim in enumerate(dims) if dim == 1}
    rest = [axis for axis in range(len(dims)) if axis not in gone]
    if len(rest) == len(out):
        for place, axis in enumerate(rest):
            axes.tie(axes.input(0, axis), axes.output(0, place))


def couple_unsqueeze(axes: Axes) -> None:
    """Tie the axes that were there, in order."""
    dims, out, given = axes.input_dims(0), axes.output_dims(0), _given_axes(axes.node)
    if dims is None or out is None or given is None:
        return
    new = {axis % len(out) for axis in given}
    rest = [axis for axis in range(len(out)) if axis not in new]
    for axis, place in enumerate(rest):
        axes.tie(axes.input(0, axis), axes.output(0, place))


def couple_transpose(axes: Axes) -> None:
    """Tie axes along the permutation."""
    dims = axes.input_dims(0)
    if dims is None:
        return
    order = axes.attribute("perm") or list(range(len(dims)))[::-1]
    for place, axis in enumerate(order):
        axes.tie(axes.input(0, axis), axes.output(0, place))


def couple_depth_to_space(axes: Axes) -> None:
    """Tie a channel of Y to the block x block channels of X that become its pixels."""
    block = axes.attribute("blocksize") ** 2
    axes.tie(axes.input(0, 0), axes.output(0, 0))
    inputs, outputs = axes.input(0, 1), axes.output(0, 1)
    if len(outputs) == 0:
        axes.freeze(inputs, f"{axes.label} makes one channel")
        return
    by_channel = axes.attribute("mode", "DCR") == "CRD"
    grid = inputs.reshape(-1, block).T if by_channel else inputs.reshape(block, -1)
    for row in grid:
        axes.tie(row, outputs)


def couple_space_to_depth(axes: Axes) -> None:
    """Tie a channel of X to the block x block channels of Y that its pixels become."""
    block = axes.attribute("blocksize") ** 2
    axes.tie(axes.input(0, 0), axes.output(0, 0))
    inputs, outputs = axes.input(0, 1), axes.output(0, 1)
    for row in outputs.reshape(block, -1):
        axes.tie(row, inputs if len(inputs) else NONE)


RULES = {
    "Reshape": Rule(couple_reshape, rewrite_reshape),
    "Flatten": Rule(couple_flatten),
    "Squeeze": Rule(couple_squeeze),
    "Unsqueeze": Rule(couple_unsqueeze),
    "Transpose": Rule(couple_transpose),
    "DepthToSpace": Rule(couple_depth_to_space),
    "SpaceToDepth": Rule(couple_space_to_depth),
}
