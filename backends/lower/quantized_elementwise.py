"""Sums and products of two activations, and functions of one, which are tables."""

from dataclasses import dataclass

import numpy as np

from galen.backends.integer_rules import grid, multiplier, product, table
from galen.backends.kernels.int8_elementwise import Int8Add, Int8Mul
from galen.backends.kernels.int8_table import Int8Table
from galen.backends.kernels.requantize import terms
from galen.backends.lower.integers import (
    form,
    image,
    limits,
    only_reader,
    own_grid,
    publish,
    readers_border,
    shift,
    store,
    zero_point,
)
from galen.backends.lower.lowering import Lowering
from galen.backends.qdq import Integers, Rounded, activation, rounded
from galen.ir import Node


def add(low: Lowering, node: Node) -> bool:
    """Lower Add of two activations of one shape, or of which one has one pixel."""
    a, b, to = activation(node.inputs[0]), activation(node.inputs[1]), rounded(node)
    if a is None or b is None or to is None or not _fit(low, (a, b), to):
        return False
    (left, left_image), (right, right_image) = image(low, a), image(low, b)
    sink = form(low, to.q, readers_border(low, to.q))
    left_grid, right_grid = (grid(x, -shift(x.q, x.zero.dtype)) for x in (a, b))
    constants = low.constant(terms(left_grid, right_grid, own_grid(to))), low.constant(limits(to))
    kernel = Int8Add(left_image, right_image, sink)
    low.call(kernel, (left, right, *constants, store(low, to, sink, node)), node)
    publish(low, to, node)
    return True


def multiply(low: Lowering, node: Node) -> bool:
    """Lower Mul of two activations of one shape, or of which one has one pixel."""
    a, b, to = activation(node.inputs[0]), activation(node.inputs[1]), rounded(node)
    if a is None or b is None or to is None or not _fit(low, (a, b), to):
        return False
    if (gated := _gated(low, node)) is not None:
        values = product((gated.x, gated.gate), (gated.every, gated.values), to)
        look_up(low, node, gated.x, to, np.clip(values, to.low, to.high))
        return True
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


@dataclass(frozen=True)
class _Gated:
    """The operands of x * f(x), and what f makes of every integer of x."""

    x: Integers
    gate: Integers
    every: np.ndarray
    values: np.ndarray


def _gated(low: Lowering, node: Node) -> _Gated | None:
    """Return the operands of a Mul that is a function of one activation, such as x * sigmoid(x): a table, too."""
    operands = [activation(value) for value in node.inputs]
    for x, gate in (operands, operands[::-1]):
        maker = _maker(gate) if x and gate else None
        to = rounded(maker) if maker else None
        if maker is None or to is None or x is None or gate is None or to.q is not gate.q:
            continue
        read = [found for found in map(activation, maker.inputs) if found]
        values = table(maker, to) if only_reader(low, to) is node and [r.q for r in read] == [x.q] else None
        if values is not None:
            limit = np.iinfo(x.zero.dtype)
            return _Gated(x, gate, np.arange(limit.min, limit.max + 1), values)
    return None


def _maker(x: Integers) -> Node | None:
    """Return the operator whose rounded result is `x`."""
    node = x.q.producer()
    while node is not None and node.op_type in ("QuantizeLinear", "Clip", "Relu"):
        node = node.inputs[0].producer() if node.inputs[0] is not None else None
    return node


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
    following = only_reader(low, to)
    if following is not None and following.op_type == "Mul" and rounded(following) and _gated(low, following):
        low.absorb(*to.nodes)
        return True
    x = next(x for x in map(activation, node.inputs) if x)
    look_up(low, node, x, to, values)
    return True


def look_up(low: Lowering, node: Node, x: Integers, to: Rounded, values: np.ndarray) -> None:
    """Append the call for a table `to.dtype` `[256]` of the integers of `x`."""
    buffer, source = image(low, x)
    sink = form(low, to.q, readers_border(low, to.q))
    first, limit = -128 - shift(x.q, x.zero.dtype), np.iinfo(x.zero.dtype)
    reached = np.clip(np.arange(first, first + 256), limit.min, limit.max) - limit.min
    entries = (values.astype(np.int32)[reached] + shift(to.q, to.dtype)).astype(np.int8)
    constants = low.constant(entries), low.constant(limits(to))
    low.call(Int8Table(source, sink), (buffer, *constants, store(low, to, sink, node)), node)
    publish(low, to, node)
