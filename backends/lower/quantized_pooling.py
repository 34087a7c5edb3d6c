"""Pooling of integers."""

import numpy as np

from galen.backends.integer_rules import mean_scale, reduced_axes
from galen.backends.kernels.base import Image
from galen.backends.kernels.int8_pool import Int8AveragePool, Int8GlobalAverage, Int8MaxPool
from galen.backends.lower.integers import LANES, form, image, limits, publish, readers_border, same, store, zero_point
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.windows import window_border, window_of
from galen.backends.qdq import Integers, Rounded, activation, rounded
from galen.ir import Node
from galen.ir.edit import attribute


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
