"""Concat and Split of integers along the channels of images."""

import numpy as np

from galen.backends.integer_rules import dequantize, quantize
from galen.backends.kernels.int8_concat import Int8Concat
from galen.backends.kernels.layout import Move
from galen.backends.lower.integers import form, image, limits, publish, readers_border, same, shift, store, zero_point
from galen.backends.lower.lowering import Lowering
from galen.backends.qdq import Integers, Rounded, activation, rounded
from galen.ir import Node
from galen.ir.edit import attribute


def concat(low: Lowering, node: Node) -> bool:
    """Lower Concat of activations along the channels; each comes to the scale of the result by a table."""
    found, to = [activation(value) for value in node.inputs], rounded(node)
    sources = [x for x in found if x is not None]
    if to is None or len(sources) != len(found) or len(low.shape(to.q)) != 4 or attribute(node, "axis") % 4 != 1:
        return False
    places = [image(low, x) for x in sources]
    sink = form(low, to.q, readers_border(low, to.q))
    tables = [None if same(x, to) else requantized(x, to) for x in sources]
    mapped = [table for table in tables if table is not None]
    kernel = Int8Concat(tuple(at for _, at in places), sink, tuple(table is not None for table in tables))
    constants = low.constant(np.concatenate(mapped or [np.zeros(256, np.int8)])), low.constant(limits(to))
    low.call(kernel, (*(buffer for buffer, _ in places), *constants, store(low, to, sink, node)), node)
    publish(low, to, node)
    return True


def split(low: Lowering, node: Node) -> bool:
    """Lower Split along the channels, all parts of which keep scale and zero point: a copy each."""
    x = activation(node.inputs[0])
    parts = [rounded(node, index) for index in range(len(node.outputs))]
    kept = [to for to in parts if to is not None and x is not None and same(x, to)]
    if x is None or len(kept) != len(parts) or len(low.shape(x.q)) != 4 or attribute(node, "axis", 0) % 4 != 1:
        return False
    buffer, source = image(low, x)
    start = 0
    for to in kept:
        sink = form(low, to.q, readers_border(low, to.q))
        kernel = Move(source, sink, (sink.h, sink.w, sink.c), (0, 0, start), fill=zero_point(x))
        low.call(kernel, (buffer, store(low, to, sink, node)), node)
        publish(low, to, node)
        start += sink.c
    return True


def requantized(x: Integers, to: Rounded) -> np.ndarray:
    """Return the int8 of `to` for every int8 of `x`."""
    limit = np.iinfo(x.zero.dtype)
    every = np.clip(np.arange(256) - 128 - shift(x.q, x.zero.dtype), limit.min, limit.max)
    values = quantize(dequantize(every, x), np.asarray(to.scale), np.asarray(to.zero, to.dtype))
    return np.asarray(np.clip(values, to.low, to.high).astype(np.int32) + shift(to.q, to.dtype), np.int8)
