"""How operators between DequantizeLinear and QuantizeLinear compute on integers; formulas in `backends.integer`."""

from collections.abc import Callable, Sequence

import numpy as np

from galen.backends.integer_layers import Layer, biased, layer
from galen.backends.integer_windows import convolve, convolve_transposed, geometry, windows
from galen.backends.kernels.int8_pool import ordered_sum
from galen.backends.kernels.requantize import Grid, add, requantize, terms
from galen.backends.qdq import Integers, Rounded, activation
from galen.ir import Node, Value
from galen.ir.edit import attribute, const_value
from galen.ir.execute import reference

Get = Callable[[Value], np.ndarray]
Rule = Callable[[Node, Rounded, Get], np.ndarray | None]
"""Returns the integers of a node's output before clipping, None if the node does not fit."""

F32 = np.float32


def dequantize(q: np.ndarray, by: Integers) -> np.ndarray:
    """Return `(q - zero) * scale` in fp32."""
    shape = [1] * q.ndim
    if q.ndim and by.scale.size > 1:
        shape[by.axis] = -1
    zero, scale = by.zero.astype(np.int32), by.scale.astype(F32)
    if by.scale.size > 1:
        zero, scale = np.broadcast_to(zero, scale.shape).reshape(shape), scale.reshape(shape)
    return np.asarray((q.astype(np.int32) - zero).astype(F32) * scale, F32)


def quantize(value: np.ndarray, scale: np.ndarray, zero: np.ndarray | None) -> np.ndarray:
    """Return `clip(rint(value / scale) + zero)` in the type of `zero`."""
    zero = np.zeros((), np.uint8) if zero is None else zero
    limits = np.iinfo(zero.dtype)
    ratio = np.rint(np.asarray(value, F32) / F32(scale.item()))
    return np.asarray(np.clip(ratio + F32(zero.item()), limits.min, limits.max), zero.dtype)


def _conv(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    found = layer(node)
    if found is None or found.weights.ndim not in (3, 4) or (found.w.scale.size > 1 and found.w.axis != 0):
        return None
    x = get(found.x.q).astype(np.int32) - int(found.x.zero)
    w = found.weights.astype(np.int32)
    acc = convolve(x, w, geometry(node, x.shape[2:], w.shape[2:]), attribute(node, "group", 1))
    return _requantized(acc, found, to)


def _conv_transpose(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    found, groups = layer(node), attribute(node, "group", 1)
    if found is None or found.weights.ndim not in (3, 4):
        return None
    if found.w.scale.size > 1 and (found.w.axis != 1 or groups > 1):
        return None
    x = get(found.x.q).astype(np.int32) - int(found.x.zero)
    acc = convolve_transposed(x, found.weights.astype(np.int32), node)
    return _requantized(acc, found, to)


def _requantized(acc: np.ndarray, by: Layer, to: Rounded) -> np.ndarray:
    """Return the integers of sums `[n, c, …]`, after their bias."""
    if by.bias is not None:
        acc = acc + by.bias.reshape(-1, *[1] * (acc.ndim - 2))
    return np.moveaxis(requantize(np.moveaxis(acc, 1, -1), by.scales(to), by.limits(to)), -1, 1)


def _gemm(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    found = layer(node)
    plain = attribute(node, "alpha", 1.0) == 1 and attribute(node, "beta", 1.0) == 1
    if found is None or not plain or attribute(node, "transA", 0):
        return None
    transposed = attribute(node, "transB", 0)
    if found.w.scale.size > 1 and found.w.axis % 2 != 1 - transposed:
        return None
    return _multiply(found, found.weights.T if transposed else found.weights, to, get)


def _matmul(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    whole = biased(node)
    found = whole.layer if whole else layer(node)
    if found is None or found.weights.ndim != 2 or (found.w.scale.size > 1 and found.w.axis % 2 != 1):
        return None
    return _multiply(found, found.weights, to, get)


def _multiply(found: Layer, weights: np.ndarray, to: Rounded, get: Get) -> np.ndarray:
    x = get(found.x.q).astype(np.float64) - int(found.x.zero)
    acc = (x @ weights.astype(np.float64)).astype(np.int32)
    return requantize(acc if found.bias is None else acc + found.bias, found.scales(to), found.limits(to))


def _both(node: Node) -> tuple[Integers, Integers] | None:
    """Return the two operands if both are activations."""
    a, b = (activation(value) for value in node.inputs)
    return (a, b) if a and b else None


def _sum_or_table(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    if (whole := biased(node)) is not None:
        return _matmul(whole.product, to, get)
    if (operands := _both(node)) is None:
        return _tabled(node, to, get)
    a, b = operands
    term = terms(grid(a), grid(b), Grid(to.scale, to.zero))
    return add(get(a.q), get(b.q), term, np.array([to.zero, to.low, to.high]))


def grid(x: Integers, move: int = 0) -> Grid:
    """Return the numbers that the integers of `x` stand for."""
    return Grid(F32(x.scale.item()), int(x.zero.item()), move)


def _product_or_table(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    if (operands := _both(node)) is None:
        return _tabled(node, to, get)
    a, b = operands
    return product(operands, (get(a.q), get(b.q)), to)


def product(of: tuple[Integers, Integers], arrays: tuple[np.ndarray, np.ndarray], to: Rounded) -> np.ndarray:
    """Return the product of the integers in `arrays`, before clipping."""
    left, right = (q.astype(np.int32) - int(x.zero) for x, q in zip(of, arrays, strict=True))
    return np.asarray(np.rint((left * right).astype(F32) * multiplier(*of, to) + F32(to.zero)))


def multiplier(a: Integers, b: Integers, to: Rounded) -> np.float32:
    """Return the scale of a product of two activations, rounded in the order of QLinearMul."""
    return F32(F32(F32(a.scale.item()) * F32(b.scale.item())) / F32(to.scale))


def _global_average(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    x = activation(node.inputs[0])
    if x is None:
        return None
    q = get(x.q)
    count = int(np.prod(q.shape[2:]))
    acc = q.sum(axis=tuple(range(2, q.ndim)), keepdims=True, dtype=np.int32) - int(x.zero) * count
    return np.asarray(np.rint(acc.astype(F32) * mean_scale(x, to, count)) + to.zero)


def mean_scale(x: Integers, to: Rounded, count: int) -> np.float32:
    """Return the scale of a sum of `count` integers of which the mean is wanted (QLinearGlobalAveragePool)."""
    return F32(F32(x.scale.item()) / F32(F32(to.scale) * F32(count)))


def _reduce_mean(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    x = activation(node.inputs[0])
    if x is None or len(get(x.q).shape) != 4 or sorted(a % 4 for a in reduced_axes(node)) != [2, 3]:
        return None
    mean = _global_average(node, to, get)
    return mean if mean is None or attribute(node, "keepdims", 1) else mean[:, :, 0, 0]


def reduced_axes(node: Node) -> Sequence[int]:
    """Return the axes of a reduction, as an input or an attribute."""
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        axes = const_value(node.inputs[1])
        return [] if axes is None else [int(a) for a in axes]
    return list(attribute(node, "axes", ()))


def _average_pool(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    x = activation(node.inputs[0])
    if x is None or len(get(x.q).shape) != 4 or attribute(node, "ceil_mode", 0):
        return None
    q = get(x.q)
    kernel = tuple(attribute(node, "kernel_shape"))
    where = geometry(node, q.shape[2:], kernel)
    if kernel == q.shape[2:] and not any(where.pads):
        return _global_average(node, to, get)
    last = tuple(range(-len(kernel), 0))
    total = ordered_sum(np.moveaxis(windows(dequantize(q, x), kernel, where), last, (0, 1)))
    whole = attribute(node, "count_include_pad", 0)
    counted = windows(np.ones((1, 1, *q.shape[2:]), F32), kernel, where).sum(axis=last)
    count = F32(np.prod(kernel)) if whole else counted
    return np.asarray(np.rint(total / count / F32(to.scale) + F32(to.zero)))


def _max_pool(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    x = activation(node.inputs[0])
    if x is None or attribute(node, "ceil_mode", 0) or len(node.outputs) > 1:
        return None
    least, q = np.iinfo(x.zero.dtype).min, get(x.q).astype(np.int32)
    kernel = tuple(attribute(node, "kernel_shape"))
    taps = windows(q - least, kernel, geometry(node, q.shape[2:], kernel))  # the padding, 0, is then the least
    largest = taps.max(axis=tuple(range(-len(kernel), 0))) + least
    return quantize(dequantize(largest, x), np.asarray(to.scale), np.asarray(to.zero, to.dtype))


TABLED = (
    *("Abs", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish", "Neg", "PRelu"),
    *("Relu", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Tanh", "Add", "Div", "Max", "Min", "Mul", "Sub"),
)
"""Operators that map every element by itself when all inputs but one are scalars."""


def table(node: Node, to: Rounded) -> np.ndarray | None:
    """Return what `node` makes of every 8-bit integer, `to.dtype` `[256]`, None unless it maps one activation."""
    if node.op_type not in TABLED:
        return None
    found = [activation(value) for value in node.inputs]
    operands = [None if value is None or x else const_value(value) for value, x in zip(node.inputs, found, strict=True)]
    inputs = [x for x in found if x]
    if len(inputs) != 1 or node.graph is None:
        return None
    (x,) = inputs
    if any(
        array is None or array.size != 1
        for value, array, q in zip(node.inputs, operands, found, strict=True)
        if value is not None and q is None
    ):
        return None
    limits = np.iinfo(x.zero.dtype)
    every = dequantize(np.arange(limits.min, limits.max + 1), x)
    operands = [every if q else array for array, q in zip(operands, found, strict=True)]
    results = reference(node, operands, node.graph.opset_imports)
    if results is None or results[0].shape != every.shape:
        return None
    values = quantize(results[0], np.asarray(to.scale), np.asarray(to.zero, to.dtype))
    return np.asarray(np.clip(values, to.low, to.high))


def _tabled(node: Node, to: Rounded, get: Get) -> np.ndarray | None:
    values = table(node, to)
    if values is None:
        return None
    x = next(x for x in map(activation, node.inputs) if x)
    return values[get(x.q).astype(np.int32) - np.iinfo(x.zero.dtype).min]


RULES: dict[str, Rule] = {
    **dict.fromkeys(TABLED, _tabled),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _sum_or_table,
    "Mul": _product_or_table,
    "GlobalAveragePool": _global_average,
    "ReduceMean": _reduce_mean,
    "AveragePool": _average_pool,
    "MaxPool": _max_pool,
}
