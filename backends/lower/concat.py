"""Concat and Split along the channels of images, or along any axis of dense tensors."""

from math import prod

from galen.backends.kernels.base import Image
from galen.backends.kernels.concat import Concat
from galen.backends.kernels.layout import Move
from galen.backends.lower.axes import VOLUME
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.places import ImagePlace
from galen.ir import Node, Value
from galen.ir.edit import attribute


def concat(low: Lowering, node: Node) -> bool:
    """Lower Concat."""
    output = node.outputs[0]
    spec = low.spec(output)
    axis = attribute(node, "axis") % len(spec.shape)
    values = [value for value in node.inputs if value is not None and 0 not in low.shape(value)]
    if axis == 1 and 3 <= len(spec.shape) <= VOLUME and any(low.is_image(value) for value in values):
        _join(low, node, values)
        return True
    rows = prod(spec.shape[:axis])

    def view(value: Value) -> Image:
        return Image(1, 1, rows, prod(low.shape(value)[axis:]), lanes=1, dtype=spec.dtype)

    kernel = Concat(tuple(view(value) for value in values), view(output))
    sources = [low.view(low.dense(value), view(value).spec.shape) for value in values]
    sink_buffer = low.view(low.define(output, spec), view(output).spec.shape)
    low.call(kernel, (*sources, sink_buffer), node)
    return True


def _join(low: Lowering, node: Node, values: list[Value]) -> None:
    """Join channels: one copy of all, or of those that have not been written into their place."""
    output, places = node.outputs[0], [low.image(value) for value in values]
    sink = low.sink(output)
    buffer = low.define(output, sink)
    if output not in low.homes:
        kernel = Concat(tuple(place.layout for place in places), sink)
        low.call(kernel, (*(place.buffer for place in places), buffer), node)
        return
    first = 0
    for value, place in zip(values, places, strict=True):
        part = sink.slice(first, place.layout.c)
        if ImagePlace(buffer, part) not in low.places[value]:
            low.call(Concat((place.layout,), part), (place.buffer, buffer), node)
        first += part.c


def split(low: Lowering, node: Node) -> bool:
    """Lower Split: one copy per part that cannot stay where it is."""
    source = node.inputs[0]
    axis = attribute(node, "axis", 0) % len(low.shape(source))
    start = 0
    for output in node.outputs:
        cut(low, node, output, axis, start)
        start += low.shape(output)[axis]
    return True


def cut(low: Lowering, node: Node, output: Value, axis: int, start: int) -> None:
    """Define `output` as `node`'s first input from `start` on along `axis`."""
    source, spec = node.inputs[0], low.spec(output)
    if low.is_image(source) and axis == 1 and len(spec.shape) in (3, 4):
        place = low.image(source)
        if _stays(low, output, place.layout, start):
            low.alias(output, place.buffer, place.layout.slice(start, spec.shape[axis]))
            return
        sink = low.sink(output)
        kernel = Move(place.layout, sink, (sink.h, sink.w, sink.c), (0, 0, start))
        low.call(kernel, (place.buffer, low.define(output, sink)), node)
        return
    shape = low.shape(source)
    outer, inner = prod(shape[:axis]), prod(shape[axis + 1 :])
    whole = Image(1, outer, shape[axis], inner, lanes=1, dtype=spec.dtype)
    part = Image(1, outer, spec.shape[axis], inner, lanes=1, dtype=spec.dtype)
    kernel = Move(whole, part, (outer, part.w, inner), (0, start, 0))
    read = low.view(low.dense(source), whole.spec.shape)
    low.call(kernel, (read, low.view(low.define(output, spec), part.spec.shape)), node)


def _stays(low: Lowering, output: Value, image: Image, start: int) -> bool:
    """Return whether channels of `image` from `start` on can be read where they are."""
    whole = start % image.lanes == low.shape(output)[1] % image.lanes == 0
    return whole and output not in low.homes and image.border >= low.border(output)
