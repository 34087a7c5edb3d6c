"""Lowering of the QDQ form (`galen.passes.quantize`) to integer kernels; meanings in `galen.backends.integer`.

A rule takes a node whose activations are dequantized and whose output is quantized, computes the integers, and skips
everything between. What has no rule computes in fp32 between Dequantize and Quantize, as the graph says. Integer values
of rank 4 are images `[n, h, w, c]`, all others rows, images `[1, 1, rows, c]`. uint8 is kept as int8 plus 128.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from galen.backends.integer_rules import Layer, grid, layer, mean_scale, multiplier, reduced_axes, table
from galen.backends.integer_rules import dequantize as in_numpy
from galen.backends.integer_rules import quantize as rounded_to
from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.int8_depthwise import DepthwiseConv
from galen.backends.kernels.int8_elementwise import Int8Add, Int8Mul
from galen.backends.kernels.int8_layout import Dequantize, Quantize
from galen.backends.kernels.int8_pool import Int8AveragePool, Int8GlobalAverage, Int8MaxPool
from galen.backends.kernels.int8_table import Int8Table
from galen.backends.kernels.layout import Move
from galen.backends.kernels.requantize import Addend, Grid, terms
from galen.backends.kernels.window import Window
from galen.backends.lower.int8_choice import choose, pixel_width
from galen.backends.lower.lowering import Lowering, Place
from galen.backends.lower.shape import slice_steps, zero_pads
from galen.backends.lower.windows import window_border, window_of
from galen.backends.qdq import Integers, Rounded, activation, clip_bounds, integers, rounded, stored
from galen.ir import Node, Value
from galen.ir.edit import attribute, const_value

LANES = 16
FEW = 4
"""Images of so many channels, which is to say inputs, are not padded to 16."""


# -- where integers are -----------------------------------------------------------------------------------------------


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
    place = low.places[to.q][-1]
    assert isinstance(place.layout, Image)
    kernel = Dequantize(place.layout, sink := Spec(low.shape(to.q), to.dtype.name))
    constants = low.constant(np.ones(1, np.float32)), low.constant(moved(0, shift(to.q, to.dtype)))
    low.call(kernel, (place.buffer, *constants, low.define(to.q, sink)), node)


# -- edges ------------------------------------------------------------------------------------------------------------


def quantize(low: Lowering, node: Node) -> bool:
    """Lower QuantizeLinear of a computed fp32 value, and a Clip of its integers."""
    value, to = node.inputs[0], stored(node)
    if value is None or to is None or const_value(value) is not None:
        return False
    if (x := activation(value)) is not None:
        every = in_numpy(np.arange(256) + np.iinfo(x.zero.dtype).min, x)
        values = np.clip(rounded_to(every, np.asarray(to.scale), np.asarray(to.zero, to.dtype)), to.low, to.high)
        _look_up(low, node, x, to, values)
        return True
    few = len(low.shape(value)) == 4 and low.shape(value)[1] <= FEW and _only_convolved(low, to.q)
    sink = form(low, to.q, readers_border(low, to.q) + few, FEW if few else LANES)
    if len(low.shape(value)) == 4 and low.is_image(value):
        place = low.image(value)
    else:
        place = Place(low.dense(value), Spec(low.shape(value), "float32"))
    constants = low.constant(np.full(1, to.scale, np.float32)), low.constant(limits(to))
    low.call(Quantize(place.layout, sink), (place.buffer, *constants, store(low, to, sink, node)), node)
    publish(low, to, node)
    return True


def _only_convolved(low: Lowering, q: Value) -> bool:
    readers = [reader for node in low.readers(q) for reader in low.readers(node.outputs[0])]
    return all(r.op_type == "Conv" and attribute(r, "group", 1) == 1 and layer(r) and rounded(r) for r in readers)


def dequantize(low: Lowering, node: Node) -> bool:
    """Lower DequantizeLinear when its fp32 value is asked for."""
    found = integers(node.outputs[0])
    if found is None or (found.constant is None and activation(node.outputs[0]) is None):
        return False
    low.defer(node.outputs[0], lambda: _dequantize(low, node, found))
    return True


def _dequantize(low: Lowering, node: Node, found: Integers) -> None:
    value = node.outputs[0]
    if found.constant is not None:
        array = in_numpy(found.constant, found)
        low.alias(value, low.constant(array), Spec(array.shape, "float32"))
        return
    buffer, source = image(low, found, lanes=(LANES, FEW))
    n, h, w, c = source.n, source.h, source.w, source.c
    rank = len(low.shape(value))
    sink = Image(n, h, w, c, low.border(value)) if rank == 4 else Spec(low.shape(value), "float32")
    constants = (
        low.constant(found.scale.astype(np.float32).reshape(1)),
        low.constant(moved(zero_point(found), 0)),
    )
    low.call(Dequantize(source, sink), (buffer, *constants, low.define(value, sink)), node)


# -- layers -----------------------------------------------------------------------------------------------------------


def ungrouped(weights: np.ndarray, groups: int) -> np.ndarray:
    """Return grouped weights `[co, ci / groups, kh, kw]` as those of one group, zero between groups."""
    if groups == 1:
        return weights
    size = weights.shape[1]
    around = [[(0, 0), (g * size, (groups - 1 - g) * size), (0, 0), (0, 0)] for g in range(groups)]
    return np.concatenate(
        [np.pad(block, zeros) for block, zeros in zip(np.split(weights, groups), around, strict=True)]
    )


@dataclass(frozen=True)
class Sum:
    """An addition that the layer before it computes too. `buffers`: addend, ratios, limits."""

    addend: Addend
    buffers: tuple[int, int, int]
    to: Rounded
    node: Node


def convolution(low: Lowering, node: Node) -> bool:
    """Lower Conv with what is added to it; groups of several channels become one with zeros between them."""
    found, to = layer(node), rounded(node)
    if found is None or to is None or found.weights.ndim != 4:
        return False
    if found.w.scale.size > 1 and found.w.axis != 0:
        return False
    groups, taps = attribute(node, "group", 1), found.weights.shape[2:]
    depthwise = 1 < groups == len(found.weights) and found.weights.shape[1] == 1
    weights = found.weights if depthwise else ungrouped(found.weights, groups)
    source = image(low, found.x, window_border(node, taps), (LANES, FEW) if groups == 1 else (LANES,))
    _layer(low, node, found, to, source, weights, window_of(node, taps), depthwise)
    return True


def gemm(low: Lowering, node: Node) -> bool:
    """Lower Gemm with a constant matrix: a 1x1 convolution of rows."""
    found, to = layer(node), rounded(node)
    plain = (
        attribute(node, "alpha", 1.0) == 1 and attribute(node, "beta", 1.0) == 1 and not attribute(node, "transA", 0)
    )
    if found is None or to is None or not plain or (found.bias is not None and found.bias.ndim != 1):
        return False
    transposed = attribute(node, "transB", 0)
    if found.w.scale.size > 1 and found.w.axis % 2 != 1 - transposed:
        return False
    weights = found.weights if transposed else found.weights.T
    _layer(low, node, found, to, image(low, found.x), weights[:, :, None, None], Window(1, 1))
    return True


def matmul(low: Lowering, node: Node) -> bool:
    """Lower MatMul with a constant matrix."""
    found, to = layer(node), rounded(node)
    if found is None or to is None or found.weights.ndim != 2 or len(low.shape(found.x.q)) == 4:
        return False
    if found.w.scale.size > 1 and found.w.axis % 2 != 1:
        return False
    _layer(low, node, found, to, image(low, found.x), found.weights.T[:, :, None, None], Window(1, 1))
    return True


def _layer(
    low: Lowering,
    node: Node,
    found: Layer,
    to: Rounded,
    source: tuple[int, Image],
    weights: np.ndarray,
    window: Window,
    depthwise: bool = False,
) -> None:
    """Append the call for a convolution with weights `[co, ci, kh, kw]`."""
    total = _sum(low, to)
    last = total.to if total else to
    sink = form(low, last.q, readers_border(low, last.q))
    shape = source[1], sink, window, total.addend if total else None
    kernel = DepthwiseConv(*shape) if depthwise else choose(low.target, shape, weights, width(found.x))
    correction = zero_point(found.x) * weights.reshape(len(weights), -1).sum(axis=1, dtype=np.int32)
    bias = (0 if found.bias is None else found.bias) - correction
    scale = np.broadcast_to(found.scales(to), bias.shape)
    constants = (
        low.constant(kernel.pack_weights(np.ascontiguousarray(weights))),
        low.constant(kernel.pack_channels(bias.astype(np.int32))),
        low.constant(kernel.pack_channels(scale)),
        low.constant(limits(to)),
    )
    if total:
        low.absorb(*(n for n in (*to.nodes, total.node) if n is not node))
    buffers = total.buffers if total else ()
    low.call(kernel, (source[0], *constants, *buffers, store(low, last, sink, node)), node)
    publish(low, last, node)


def width(x: Integers) -> int:
    """Return the bits that the int8 of `x` need."""
    low, high = (bound + shift(x.q, x.zero.dtype) for bound in extent(x.q, x.zero.dtype))
    return max(pixel_width(low, high), pixel_width(zero_point(x), zero_point(x)))


def _sum(low: Lowering, to: Rounded) -> Sum | None:
    """Return the addition that alone reads the output of a layer, if its other operand has been computed."""
    node = _alone(low, to)
    if node is None or node.op_type != "Add":
        return None
    own_input = low.readers(to.q)[0].outputs[0]
    first = node.inputs[1] is own_input
    other, after = activation(node.inputs[0 if first else 1]), rounded(node)
    if other is None or after is None or other.q is to.q or low.shape(other.q) != low.shape(to.q):
        return None
    if not any(isinstance(p.layout, Image) and p.layout.lanes == LANES for p in low.places.get(other.q, [])):
        return None
    buffer, source = image(low, other)
    pair = grid(other, -shift(other.q, other.zero.dtype)), own_grid(to)
    term = terms(*(pair if first else pair[::-1]), own_grid(after))
    return Sum(Addend(source, first), (buffer, low.constant(term), low.constant(limits(after))), after, node)


# -- everything else --------------------------------------------------------------------------------------------------


def add(low: Lowering, node: Node) -> bool:
    """Lower Add of two activations of one shape, or of which one has one pixel."""
    a, b, to = activation(node.inputs[0]), activation(node.inputs[1]), rounded(node)
    if a is None or b is None or to is None or not _fit(low, (a, b), to):
        return False
    (left, left_image), (right, right_image) = image(low, a), image(low, b)
    sink = form(low, to.q, readers_border(low, to.q))
    grids = (grid(x, -shift(x.q, x.zero.dtype)) for x in (a, b))
    constants = low.constant(terms(*grids, own_grid(to))), low.constant(limits(to))
    kernel = Int8Add(left_image, right_image, sink)
    low.call(kernel, (left, right, *constants, store(low, to, sink, node)), node)
    publish(low, to, node)
    return True


def multiply(low: Lowering, node: Node) -> bool:
    """Lower Mul of two activations of one shape, or of which one has one pixel."""
    a, b, to = activation(node.inputs[0]), activation(node.inputs[1]), rounded(node)
    if a is None or b is None or to is None or not _fit(low, (a, b), to):
        return False
    (left, left_image), (right, right_image) = image(low, a), image(low, b)
    sink = form(low, to.q, readers_border(low, to.q))
    constants = (
        low.constant(np.array([zero_point(a), zero_point(b), to.zero, 0], np.int32)),
        low.constant(np.array([multiplier(a, b, to)], np.float32)),
        low.constant(limits(to)),
    )
    kernel = Int8Mul(left_image, right_image, sink)
    low.call(kernel, (left, right, *constants, store(low, to, sink, node)), node)
    publish(low, to, node)
    return True


def _fit(low: Lowering, operands: tuple[Integers, Integers], to: Rounded) -> bool:
    """Return whether both operands have the shape of the result, or one pixel per image."""
    whole = low.shape(to.q)
    shapes = [low.shape(x.q) for x in operands]
    return all(s == whole or (len(s) == len(whole) == 4 and s == (*whole[:2], 1, 1)) for s in shapes)


def function(low: Lowering, node: Node) -> bool:
    """Lower an operator that maps every element by itself."""
    to = rounded(node)
    values = table(node, to) if to else None
    if to is None or values is None:
        return False
    x = next(x for x in map(activation, node.inputs) if x)
    _look_up(low, node, x, to, values)
    return True


def _look_up(low: Lowering, node: Node, x: Integers, to: Rounded, values: np.ndarray) -> None:
    """Append the call for a table `to.dtype` `[256]` of the integers of `x`."""
    buffer, source = image(low, x)
    sink = form(low, to.q, readers_border(low, to.q))
    first, limit = -128 - shift(x.q, x.zero.dtype), np.iinfo(x.zero.dtype)
    reached = np.clip(np.arange(first, first + 256), limit.min, limit.max) - limit.min
    entries = (values.astype(np.int32)[reached] + shift(to.q, to.dtype)).astype(np.int8)
    constants = low.constant(entries), low.constant(limits(to))
    low.call(Int8Table(source, sink), (buffer, *constants, store(low, to, sink, node)), node)
    publish(low, to, node)


def average(low: Lowering, node: Node) -> bool:
    """Lower GlobalAveragePool, AveragePool, and ReduceMean over the image."""
    x, to = activation(node.inputs[0]), rounded(node)
    if x is None or to is None or len(low.shape(x.q)) != 4:
        return False
    if not _whole(low, node, x):
        return _average_pool(low, node, x, to)
    buffer, source = image(low, x)
    count = source.h * source.w
    constants = (
        low.constant(np.array([zero_point(x) * count], np.int32)),
        low.constant(np.array([mean_scale(x, to, count)], np.float32)),
        low.constant(limits(to)),
    )
    pixel = Image(source.n, 1, 1, source.c, 0, LANES, "int8")
    sink = form(low, to.q, readers_border(low, to.q)) if len(low.shape(to.q)) == 4 else pixel
    result = low.buffer(sink.spec)
    low.call(Int8GlobalAverage(source, sink), (buffer, *constants, result), node)
    low.absorb(*to.nodes)
    kept = sink if len(low.shape(to.q)) == 4 else form(low, to.q)
    low.alias(to.q, low.view(result, kept.spec.shape), kept)
    publish(low, to, node)
    return True


def _whole(low: Lowering, node: Node, x: Integers) -> bool:
    """Return whether the mean is over the image."""
    n, c, *size = low.shape(x.q)
    if node.op_type == "ReduceMean" and sorted(axis % 4 for axis in reduced_axes(node)) != [2, 3]:
        return False
    if node.op_type != "AveragePool":
        return low.shape(node.outputs[0]) in ((n, c, 1, 1), (n, c))
    return list(attribute(node, "kernel_shape")) == size and not any(attribute(node, "pads", [0]))


def _average_pool(low: Lowering, node: Node, x: Integers, to: Rounded) -> bool:
    if node.op_type != "AveragePool" or attribute(node, "ceil_mode", 0) or len(low.shape(to.q)) != 4:
        return False
    taps = tuple(attribute(node, "kernel_shape"))
    buffer, source = image(low, x, window_border(node, taps))
    sink, window = form(low, to.q, readers_border(low, to.q)), window_of(node, taps)
    inside = Image(1, source.h, source.w, 1, source.border, 1, "int8")
    padded = attribute(node, "count_include_pad", 0)
    counted = inside.place(np.ones((1, source.h, source.w, 1)), 1 if padded else 0)
    counts = window.taps(inside, sink, counted).sum(axis=(0, 3, 4, 5), dtype=np.float32)
    constants = (
        low.constant(np.array([zero_point(x)], np.int32)),
        low.constant(np.array([x.scale.item(), to.scale, to.zero, 0], np.float32)),
        low.constant(counts),
        low.constant(limits(to)),
    )
    kernel = Int8AveragePool(source, sink, window)
    low.call(kernel, (buffer, *constants, store(low, to, sink, node)), node)
    publish(low, to, node)
    return True


def max_pool(low: Lowering, node: Node) -> bool:
    """Lower MaxPool that keeps scale and zero point, and whose padding cannot win."""
    x, to = activation(node.inputs[0]), rounded(node)
    if x is None or to is None or not same(x, to) or len(low.shape(x.q)) != 4 or attribute(node, "ceil_mode", 0):
        return False
    taps = tuple(attribute(node, "kernel_shape"))
    border = window_border(node, taps)
    if (border and zero_point(x) != -128) or len(node.outputs) > 1:
        return False
    buffer, source = image(low, x, border)
    sink = form(low, to.q, readers_border(low, to.q))
    kernel = Int8MaxPool(source, sink, window_of(node, taps))
    low.call(kernel, (buffer, low.constant(limits(to)), store(low, to, sink, node)), node)
    publish(low, to, node)
    return True


def same(x: Integers, to: Rounded) -> bool:
    """Return whether integers keep their meaning: one scale and zero point, nothing clipped."""
    full = np.iinfo(to.dtype)
    unclipped = (to.low, to.high) == (full.min, full.max)
    return x.scale.item() == to.scale and x.zero.dtype == to.dtype and x.zero.item() == to.zero and unclipped


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
        last, following = to, _alone(low, to)
    if last is None or starts[0] or steps[:2] != [1, 1] or pads[0]:
        return False
    buffer, source = image(low, x)
    sink = form(low, last.q, readers_border(low, last.q))
    zero, (_, c, h, w) = zero_point(x), extent
    kernel = Move(source, sink, (h, w, c), (*starts[2:], starts[1]), (steps[2], steps[3]), (*pads[2:], pads[1]), zero)
    low.call(kernel, (buffer, store(low, last, sink, node)), node)
    publish(low, last, node)
    return True


def _alone(low: Lowering, to: Rounded) -> Node | None:
    """Return the only reader of the dequantized integers of `to`."""
    readers = low.readers(to.q)
    if to.q.is_graph_output() or len(readers) != 1 or readers[0].op_type != "DequantizeLinear":
        return None
    value = readers[0].outputs[0]
    following = low.readers(value)
    return following[0] if len(following) == 1 and not value.is_graph_output() else None
