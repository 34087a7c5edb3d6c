"""Where the integers of a quantized network are, and what they mean.

Integer values of rank 4 are images `[n, h, w, c]`, all others rows, images `[1, 1, rows, c]`. All are int8: uint8 less
128, ranges of few bits around zero.
"""

from math import prod

import numpy as np

from galen.backends.integer_layers import layer
from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.int8_layout import Dequantize, Quantize
from galen.backends.kernels.requantize import Grid
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.places import Place
from galen.backends.lower.transposed import transposed_window_border
from galen.backends.lower.windows import window_border
from galen.backends.qdq import Integers, Rounded, clip_bounds, rounded
from galen.ir import Node, Value
from galen.ir.edit import attribute

LANES = 16
FEW = 4
"""Images of so many channels, which is to say inputs, are not padded to 16."""


def shift(q: Value, dtype: np.dtype) -> int:
    """Return what is added to integers `q` of `dtype` to make them int8 around zero: -128 for uint8, 0 for int8."""
    low, high = extent(q, dtype)
    return -((low + high + 1) // 2)


def extent(q: Value, dtype: np.dtype) -> tuple[int, int]:
    """Return the least and greatest value that `q` can have: what a Clip says, else what `dtype` does."""
    node, limit = q.producer(), np.iinfo(dtype)
    bounds = clip_bounds(node) if node is not None and node.op_type == "Clip" else None
    low, high = bounds or (limit.min, limit.max)
    return int(np.clip(low, limit.min, limit.max)), int(np.clip(high, limit.min, limit.max))


def limits(to: Rounded) -> np.ndarray:
    """Return zero point, low and high of the int8 that stand for `to`."""
    return np.array([to.zero, to.low, to.high], np.int32) + shift(to.q, to.dtype)


def own_grid(to: Rounded) -> Grid:
    """Return the numbers that the integers of `to` stand for."""
    return Grid(to.scale, to.zero, -shift(to.q, to.dtype))


def moved(zero: int, by: int) -> np.ndarray:
    """Return the limits of kernels that only move integers."""
    return np.array([zero, by, 0], np.int32)


def zero_point(x: Integers) -> int:
    """Return the zero point of the int8 that stand for `x`."""
    return int(x.zero.item()) + shift(x.q, x.zero.dtype)


def same(x: Integers, to: Rounded) -> bool:
    """Return whether integers keep their meaning: one scale and zero point, nothing clipped."""
    full = np.iinfo(to.dtype)
    unclipped = (to.low, to.high) == (full.min, full.max)
    return x.scale.item() == to.scale and x.zero.dtype == to.dtype and x.zero.item() == to.zero and unclipped


def form(low: Lowering, value: Value, border: int = 0, lanes: int = LANES) -> Image:
    """Return the image that integers of the shape of `value` are kept in."""
    shape = low.shape(value)
    if len(shape) == 4:
        n, c, h, w = shape
        return Image(n, h, w, c, border, lanes, "int8")
    return Image(1, 1, prod(shape[:-1]), shape[-1] if shape else 1, 0, lanes, "int8")


def readers_border(low: Lowering, q: Value) -> int:
    """Return the widest border that operators ask of the dequantized value of `q`."""
    values = [node.outputs[0] for node in low.readers(q) if node.op_type == "DequantizeLinear"]
    return max((_border(low, reader, value) for value in values for reader in low.readers(value)), default=0)


def _border(low: Lowering, reader: Node, value: Value) -> int:
    if reader.op_type == "Conv" and (found := layer(reader)) is not None and rounded(reader):
        return window_border(reader, found.weights.shape[2:])
    if reader.op_type == "ConvTranspose" and layer(reader) is not None and rounded(reader):
        return transposed_window_border(reader)
    if reader.op_type in ("AveragePool", "MaxPool"):
        return window_border(reader, tuple(attribute(reader, "kernel_shape")))
    rule = low.borders.get(reader.op_type)
    return rule(reader, value, low.target) if rule else 0


def image(low: Lowering, x: Integers, border: int = 0, lanes: tuple[int, ...] = (LANES,)) -> tuple[int, Image]:
    """Return buffer and layout of the int8 image of `x`, converting what is there if need be."""
    q = x.q
    for place in low.places.get(q, []):
        at = place.layout
        if isinstance(at, Image) and at.dtype == "int8" and at.lanes in lanes and at.border >= border:
            return place.buffer, at
    sink = form(low, q, max(border, readers_border(low, q)))
    source = _source(low, q)
    by = 0 if isinstance(source.layout, Image) else shift(q, x.zero.dtype)
    constants = low.constant(np.ones(1, np.float32)), low.constant(moved(zero_point(x), by))
    node = q.producer() or low.readers(q)[0]
    low.call(Quantize(source.layout, sink), (source.buffer, *constants, buffer := low.define(q, sink)), node)
    return buffer, sink


def _source(low: Lowering, q: Value) -> Place:
    for place in low.places.get(q, []):
        if isinstance(place.layout, Image) and place.layout.dtype == "int8":
            return place
    return Place(low.dense(q), Spec(low.shape(q), low.buffers[low.dense(q)].dtype))


def store(low: Lowering, to: Rounded, sink: Image, node: Node) -> int:
    """Return the buffer for the integers of `to`, whose nodes are then done."""
    low.absorb(*(n for n in to.nodes if n is not node))
    return low.define(to.q, sink)


def publish(low: Lowering, to: Rounded, node: Node) -> None:
    """Give readers other than DequantizeLinear, and the caller, the integers in ONNX's order."""
    if not to.q.is_graph_output() and all(reader.op_type == "DequantizeLinear" for reader in low.readers(to.q)):
        return
    place = _source(low, to.q)
    if not isinstance(place.layout, Image):
        return
    kernel = Dequantize(place.layout, sink := Spec(low.shape(to.q), to.dtype.name))
    constants = low.constant(np.ones(1, np.float32)), low.constant(moved(0, shift(to.q, to.dtype)))
    low.call(kernel, (place.buffer, *constants, low.define(to.q, sink)), node)


def only_reader(low: Lowering, to: Rounded) -> Node | None:
    """Return the only reader of the dequantized integers of `to`."""
    readers = low.readers(to.q)
    if to.q.is_graph_output() or len(readers) != 1 or readers[0].op_type != "DequantizeLinear":
        return None
    value = readers[0].outputs[0]
    following = low.readers(value)
    return following[0] if len(following) == 1 and not value.is_graph_output() else None
