"""Operators that move integers and keep their scale."""

from galen.backends.kernels.layout import Move
from galen.backends.kernels.resample import Resample
from galen.backends.lower.integers import (
    form,
    image,
    only_reader,
    publish,
    readers_border,
    same,
    store,
    zero_point,
)
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.resize import tables_of
from galen.backends.lower.shape import slice_steps, zero_pads
from galen.backends.qdq import Rounded, activation, rounded
from galen.ir import Node


def reshape(low: Lowering, node: Node) -> bool:
    """Lower Flatten and its like of one pixel per image: the same memory."""
    x, to = activation(node.inputs[0]), rounded(node)
    if x is None or to is None or not same(x, to):
        return False
    shape, out = low.shape(x.q), low.shape(to.q)
    if len(shape) != 4 or shape[2:] != (1, 1) or out != shape[:2]:
        return False
    buffer, source = image(low, x)
    if source.border:
        return False
    sink = form(low, to.q)
    low.absorb(*to.nodes)
    low.alias(to.q, low.view(buffer, sink.spec.shape), sink)
    publish(low, to, node)
    return True


def resize(low: Lowering, node: Node) -> bool:
    """Lower Resize of images to the nearest pixel."""
    x, to = activation(node.inputs[0]), rounded(node)
    if x is None or to is None or not same(x, to) or len(low.shape(x.q)) != 4:
        return False
    tables = tables_of(node, low.shape(x.q), low.shape(to.q))
    if tables is None or any(places.shape[1] != 1 for places, _ in tables):
        return False
    buffer, source = image(low, x)
    sink = form(low, to.q, readers_border(low, to.q))
    constants = [low.constant(array) for table in tables for array in table]
    kernel = Resample(source, sink, (1, 1), fill=zero_point(x))
    low.call(kernel, (buffer, *constants, store(low, to, sink, node)), node)
    publish(low, to, node)
    return True


def move(low: Lowering, node: Node) -> bool:
    """Lower a chain of Slice and Pad with zeros, of images that keep scale and zero point, to one copy."""
    x = activation(node.inputs[0])
    if x is None or len(low.shape(x.q)) != 4:
        return False
    starts, steps, pads, extent = [0] * 4, [1] * 4, [0] * 4, low.shape(x.q)
    last: Rounded | None = None
    following: Node | None = node
    while following is not None and (to := rounded(following)) is not None and same(x, to):
        if following.op_type == "Slice" and pads == [0] * 4 and (cut := slice_steps(low, following)) is not None:
            starts = [s + b * t for s, b, t in zip(starts, cut[0], steps, strict=True)]
            steps = [t * u for t, u in zip(steps, cut[1], strict=True)]
            extent = low.shape(following.outputs[0])
        elif following.op_type == "Pad" and (zeros := zero_pads(low, following)) is not None:
            pads = [p + z for p, z in zip(pads, zeros, strict=True)]
        else:
            break
        low.absorb(*(n for n in (following, *to.nodes) if n is not node))
        last, following = to, only_reader(low, to)
    if last is None or starts[0] or steps[:2] != [1, 1] or pads[0]:
        return False
    buffer, source = image(low, x)
    sink = form(low, last.q, readers_border(low, last.q))
    zero, (_, c, h, w) = zero_point(x), extent
    start, offset = (starts[2], starts[3], starts[1]), (pads[2], pads[3], pads[1])
    kernel = Move(source, sink, (h, w, c), start, (steps[2], steps[3]), offset, zero)
    low.call(kernel, (buffer, store(low, last, sink, node)), node)
    publish(low, last, node)
    return True
