"""Which values are written straight into their place in a concatenation, so that nothing is copied there."""

from collections.abc import Callable
from dataclasses import dataclass

from galen.backends.lower.axes import image_axes
from galen.ir import DataType, Graph, Node, Value
from galen.ir.edit import attribute, const_value
from galen.ir.shapes import static_shape

LANES = {DataType.FLOAT: 4, DataType.FLOAT16: 8}
"""Channels of a vector; slices consist of whole ones."""


@dataclass(frozen=True)
class Home:
    """The channels from `first` on of the image of the value `whole`."""

    whole: Value
    first: int


def homes(graph: Graph, border: Callable[[Value], int]) -> dict[Value, Home]:
    """Return where the inputs of concatenations along channels live, and outputs that are parts of wider ones.

    Only where nobody asks for a `border`: pixels of slices lie apart, and windows over them cost more than the copy.
    The widest concatenation comes first, so that of several that begin alike, as in DenseNet, all share one image.
    """
    found: dict[Value, Home] = {}
    nodes = [node for node in graph if _joins_channels(node) and not any(map(border, _values(node)))]
    for node in sorted(nodes, key=lambda node: -_channels(node.outputs[0])):
        output, parts = node.outputs[0], [value for value in node.inputs if value is not None]
        starts = [sum(map(_channels, parts[:i])) for i in range(len(parts))]
        settled = [found.get(value) for value in parts]
        base = settled[0] or found.get(output) or Home(output, 0)
        wanted = [Home(base.whole, base.first + start) for start in starts]
        if settled == wanted and found.get(output) in (None, base):
            found[output] = base
        elif not any(settled):
            found[output] = base
            found.update(zip(parts, wanted, strict=True))
    return found


def _values(node: Node) -> list[Value]:
    """Return inputs and output."""
    return [value for value in (*node.inputs, *node.outputs) if value is not None]


def _joins_channels(node: Node) -> bool:
    """Return whether a node joins images of whole vectors of channels, each computed and joined once."""
    shape = static_shape(node.outputs[0])
    if (
        node.op_type != "Concat"
        or shape is None
        or len(shape) not in (3, 4)
        or attribute(node, "axis") % len(shape) != 1
    ):
        return False
    if len(set(node.inputs)) != len(node.inputs) or any(const_value(value) is not None for value in node.inputs):
        return False
    lanes = LANES.get(node.outputs[0].dtype or DataType.UNDEFINED)
    return lanes is not None and all(_channels(value) and _channels(value) % lanes == 0 for value in node.inputs)


def _channels(value: Value | None) -> int:
    """Return the channels of an image, 0 where they are not known."""
    shape = static_shape(value)
    return image_axes(shape)[1] if shape is not None and len(shape) in (3, 4) else 0
