"""Operators that only move data: views where memory allows, copies elsewhere."""

from dataclasses import replace
from math import prod

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.layout import Move
from galen.backends.kernels.lookup import Lookup
from galen.backends.kernels.permute import Permute
from galen.backends.lower.axes import image_axes
from galen.backends.lower.fuse import sole_reader
from galen.backends.lower.lowering import Lowering
from galen.ir import Node
from galen.ir.edit import attribute, const_value


def reshape(low: Lowering, node: Node) -> bool:
    """Lower what keeps the order of elements: a view of the dense tensor."""
    source = node.inputs[0]
    if source is None or source.dtype is None:
        return False
    output = node.outputs[0]
    spec = Spec(low.shape(output), source.dtype.numpy().name)
    low.alias(output, low.view(low.dense(source), spec.shape), spec)
    return True


def move(low: Lowering, node: Node) -> bool:
    """Lower Slice and Pad of an image: a chain of slices, and zero padding after it, is one copy."""
    source = node.inputs[0]
    if source is None or len(low.shape(source)) not in (3, 4) or not low.is_image(source):
        return False
    rank = len(low.shape(source))
    starts, steps, pads, output = [0] * rank, [1] * rank, [0] * rank, source
    nodes: list[Node] = []
    following: Node | None = node
    while following is not None and following.op_type == "Slice" and (cut := slice_steps(low, following)) is not None:
        starts = [s + b * t for s, b, t in zip(starts, cut[0], steps, strict=True)]
        steps = [t * u for t, u in zip(steps, cut[1], strict=True)]
        nodes, output = [*nodes, following], following.outputs[0]
        following = sole_reader(low, output)
    extent = low.shape(output)
    if following is not None and following.op_type == "Pad" and (zeros := zero_pads(low, following)) is not None:
        pads, nodes, output = zeros, [*nodes, following], following.outputs[0]
    if not nodes or starts[0] or steps[:2] != [1, 1]:
        return False
    low.absorb(*nodes[1:])
    image = low.image(source)
    (_, c0, y0, x0), (_, oc, oy, ox), (_, ec, eh, ew) = image_axes(starts, 0), image_axes(pads, 0), image_axes(extent)
    sink = replace(low.sink(output), dtype=image.layout.dtype)
    stride = image_axes(steps)[2:]
    kernel = Move(image.layout, sink, (eh, ew, ec), (y0, x0, c0), stride, (oy, ox, oc))
    low.call(kernel, (image.buffer, low.define(output, sink)), node)
    return True


def slice_(low: Lowering, node: Node) -> bool:
    """Lower Slice of a dense tensor."""
    found = slice_steps(low, node)
    if found is None:
        return False
    spec = low.spec(node.outputs[0])
    cuts = tuple(zip(*found, spec.shape, strict=True))
    kernel = Permute(low.shape(node.inputs[0]), tuple(range(len(cuts))), spec.dtype, cuts)
    low.call(kernel, (low.dense(node.inputs[0]), low.define(node.outputs[0], spec)), node)
    return True


def gather(low: Lowering, node: Node) -> bool:
    """Lower Gather of one constant index: a slice."""
    index = const_value(node.inputs[1])
    shape = low.shape(node.inputs[0])
    if index is None or index.size != 1 or const_value(node.inputs[0]) is not None:
        return False
    axis = attribute(node, "axis", 0) % len(shape)
    outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    spec = low.spec(node.outputs[0])
    whole = Image(1, outer, shape[axis], inner, lanes=1, dtype=spec.dtype)
    part = Image(1, outer, 1, inner, lanes=1, dtype=spec.dtype)
    kernel = Move(whole, part, (outer, 1, inner), (0, int(index.ravel()[0]) % shape[axis], 0))
    read = low.view(low.dense(node.inputs[0]), whole.spec.shape)
    low.call(kernel, (read, low.view(low.define(node.outputs[0], spec), part.spec.shape)), node)
    return True


def lookup(low: Lowering, node: Node) -> bool:
    """Lower Gather of rows."""
    table, index, output = (*node.inputs, node.outputs[0])
    if attribute(node, "axis", 0) % len(low.shape(table)) != 0:
        return False
    entries, *row = low.shape(table)
    count, spec = prod(low.shape(index)), low.spec(output)
    kernel = Lookup(entries, prod(row), count, low.spec(index).dtype, spec.dtype)
    found = (low.view(low.dense(v), s.shape) for v, s in zip((table, index), kernel.args, strict=False))
    low.call(kernel, (*found, low.view(low.define(output, spec), kernel.args[-1].shape)), node)
    return True


def slice_steps(low: Lowering, node: Node) -> tuple[list[int], list[int]] | None:
    """Return start and step on every axis, None when they are not constant or run backwards."""
    shape = low.shape(node.inputs[0])
    if len(node.inputs) < 3:  # before operator set 10 they were attributes
        given = [attribute(node, name) for name in ("starts", "ends", "axes")]
    else:
        arrays = [const_value(v) for v in node.inputs[1:]]
        if any(array is None for array in arrays):
            return None
        given = [[int(i) for i in array.ravel()] for array in arrays if array is not None]
    starts, _, *rest = given
    axes = rest[0] if rest and rest[0] is not None else range(len(starts))
    strides = rest[1] if len(rest) > 1 else [1] * len(starts)
    first, steps = [0] * len(shape), [1] * len(shape)
    for axis, start, step in zip(axes, starts, strides, strict=True):
        first[axis] = max(0, min(start + shape[axis] if start < 0 else start, shape[axis]))
        steps[axis] = step
    return (first, steps) if min(steps) > 0 else None  # a negative step reverses: left to the fallback


def zero_pads(low: Lowering, node: Node) -> list[int] | None:
    """Return the padding before every axis, None when it is not constant zeros around channels and pixels."""
    pads = const_value(node.inputs[1]) if len(node.inputs) > 1 else None
    value = const_value(node.inputs[2]) if len(node.inputs) > 2 else None
    if pads is None or attribute(node, "mode", "constant") != "constant" or len(node.inputs) > 3:
        return None
    rank = len(low.shape(node.inputs[0]))
    if pads[0] or pads[rank] or pads.min() < 0 or (value is not None and value.any()):
        return None
    return [int(p) for p in pads[:rank]]
