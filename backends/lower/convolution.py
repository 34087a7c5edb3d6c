"""Convolutions: the kernel is chosen per layer, everything element-wise after it is fused."""

from dataclasses import dataclass

import numpy as np

from galen.backends.lower.algorithms import Algorithm, Problem, choose
from galen.backends.lower.axes import image_axes
from galen.backends.lower.fuse import epilogue
from galen.backends.lower.lowering import FLOATS, Lowering
from galen.backends.lower.places import ImagePlace
from galen.backends.lower.windows import window_of
from galen.backends.target import Target
from galen.ir import Node, Value
from galen.ir.edit import attribute, const_value
from galen.ir.shapes import static_shape


def convolution(low: Lowering, node: Node) -> bool:
    """Lower Conv with constant weights over one or two axes."""
    problem = problem_of(node)
    weights, bias = const_value(node.inputs[1]), const_value(node.inputs[2] if len(node.inputs) > 2 else None)
    if problem is None or weights is None or problem.dtype not in FLOATS:
        return False
    algorithm = choose(problem, low.target)
    source = low.image(node.inputs[0], algorithm.border)
    filters = weights.reshape(problem.outputs, -1, problem.window.kh, problem.window.kw)
    convolve(low, node, source, algorithm, Filters(filters, bias))
    return True


@dataclass(frozen=True)
class Filters:
    """Weights `[co, ci / groups, kh, kw]` and bias `[co]`."""

    weights: np.ndarray
    bias: np.ndarray | None


def convolve(low: Lowering, node: Node, source: ImagePlace, algorithm: Algorithm, filters: Filters) -> None:
    """Append the call that computes the output of `node`, and what follows element by element, from an image."""
    after = epilogue(low, node.outputs[0], low.sink(node.outputs[0]))
    sink = low.sink(after.value)
    kernel = algorithm.kernel(source.layout, sink, after.steps)
    weights = low.packed(kernel.args[1], lambda: kernel.pack_weights(filters.weights))
    constants = weights, low.constant(kernel.pack_bias(filters.bias))
    low.call(kernel, (source.buffer, *constants, *after.operands, low.define(after.value, sink)), node)


def problem_of(node: Node) -> Problem | None:
    """Return the convolution that `node` defines, None when its weights or shapes are not known."""
    filters = node.inputs[1]
    weights = static_shape(filters)
    source, sink = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if filters is None or filters.dtype is None:
        return None
    if weights is None or source is None or sink is None or len(weights) not in (3, 4):
        return None
    window = window_of(node, weights[2:])
    (n, inputs, h, w), (_, outputs, oh, ow) = image_axes(source), image_axes(sink)
    dtype, groups = filters.dtype.numpy().name, attribute(node, "group", 1)
    return Problem(n, (h, w), (oh, ow), inputs, outputs, window, groups, dtype)


def convolution_border(node: Node, value: Value, target: Target) -> int:
    """Return the border that a convolution asks of its image."""
    problem = problem_of(node)
    return choose(problem, target).border if problem is not None and value is node.inputs[0] else 0
