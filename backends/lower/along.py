"""Operators along one axis of a dense tensor: ArgMax and ArgMin, running sums, softmax where it is not the last."""

from math import prod

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.columns import ColumnSoftmax, RunningSum
from galen.backends.kernels.extreme import Choice, Extreme
from galen.backends.kernels.pointwise import Pointwise
from galen.backends.kernels.reduce import LOG_SUM_EXP, Reduce
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.rows import MODERN
from galen.ir import Node
from galen.ir.edit import attribute, const_value

TYPES = ("float32", "int32", "int64")


def extreme(low: Lowering, node: Node) -> bool:
    """Lower ArgMax and ArgMin."""
    spec = low.spec(node.inputs[0])
    if spec.dtype not in TYPES or prod(spec.shape) == 0:
        return False
    shape = _split(spec.shape, attribute(node, "axis", 0))
    choice: Choice = "last" if attribute(node, "select_last_index", 0) else "first"
    return _call(low, node, Extreme(shape, "max" if node.op_type == "ArgMax" else "min", choice, spec.dtype))


def running_sum(low: Lowering, node: Node) -> bool:
    """Lower CumSum along a constant axis."""
    spec, axis = low.spec(node.inputs[0]), const_value(node.inputs[1])
    if axis is None or spec.dtype not in TYPES or prod(spec.shape) == 0:
        return False
    flags = (bool(attribute(node, name, 0)) for name in ("exclusive", "reverse"))
    return _call(low, node, RunningSum(_split(spec.shape, int(axis.ravel()[0])), spec.dtype, *flags))


def column_softmax(low: Lowering, node: Node) -> bool:
    """Lower Softmax along an axis that others follow."""
    spec = low.spec(node.inputs[0])
    if low.model.opset_imports.get("", MODERN) < MODERN or spec.dtype != "float32" or prod(spec.shape) == 0:
        return False
    return _call(low, node, ColumnSoftmax(_split(spec.shape, attribute(node, "axis", -1))))


def log_softmax(low: Lowering, node: Node) -> bool:
    """Lower LogSoftmax: the logarithm of the sum of exponentials, subtracted."""
    spec, modern = low.spec(node.inputs[0]), low.model.opset_imports.get("", MODERN) >= MODERN
    if spec.dtype != "float32" or prod(spec.shape) == 0:
        return False
    outer, extent, inner = _split(spec.shape, attribute(node, "axis", -1 if modern else 1))
    shape = (outer, extent, inner) if modern and inner > 1 else (outer, extent * inner)
    total = Reduce(LOG_SUM_EXP, shape, (1,))
    kept = Spec((outer, 1, *shape[2:]), "float32")
    less = Pointwise("subtract", (Spec(shape, "float32"), kept), Spec(shape, "float32"))
    source, totals = low.view(low.dense(node.inputs[0]), shape), low.buffer(total.args[1])
    low.call(total, (source, totals), node)
    sink = low.view(low.define(node.outputs[0], spec), shape)
    low.call(less, (source, low.view(totals, kept.shape), sink), node)
    return True


def _split(shape: tuple[int, ...], axis: int) -> tuple[int, int, int]:
    """Return the extents before `axis`, along it and behind it."""
    axis %= len(shape)
    return prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])


def _call(low: Lowering, node: Node, kernel: Kernel) -> bool:
    """Call a kernel from one tensor to another."""
    source, sink = kernel.args
    read = low.view(low.dense(node.inputs[0]), source.shape)
    low.call(kernel, (read, low.view(low.define(node.outputs[0], low.spec(node.outputs[0])), sink.shape)), node)
    return True
