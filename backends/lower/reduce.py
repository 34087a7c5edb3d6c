"""Reductions over any axes."""

from math import prod

import numpy as np

from galen.backends.kernels.functions import FUNCTIONS, Arrays
from galen.backends.kernels.reduce import LOG_SUM_EXP, REDUCTIONS, Reduce
from galen.backends.lower.axes import join
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.pooling import global_max
from galen.ir import Node
from galen.ir.edit import attribute, const_value

KINDS = {
    "ReduceL1": "l1",
    "ReduceL2": "l2",
    "ReduceLogSum": "log-sum",
    "ReduceLogSumExp": LOG_SUM_EXP,
    "ReduceMax": "max",
    "ReduceMean": "mean",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceSum": "sum",
    "ReduceSumSquare": "sum-square",
}
"""Operator of ONNX -> that of the kernel."""
PLAIN = ("max", "mean", "min", "prod", "sum")
"""Reductions that leave a single element as it is."""


def reduce(low: Lowering, node: Node) -> bool:
    """Lower a reduction over constant axes."""
    source, sink = low.spec(node.inputs[0]), low.spec(node.outputs[0])
    axes, kind = _axes(node, len(source.shape)), KINDS[node.op_type]
    if axes is None or not (axes or kind in PLAIN) or not _knows(kind, source.dtype):
        return False
    if node.op_type == "ReduceMax" and axes == {2, 3} and len(sink.shape) == 4 and low.is_image(node.inputs[0]):
        return global_max(low, node)
    if prod(source.shape) == 0:
        low.alias(node.outputs[0], low.constant(np.full(sink.shape, _empty(kind, source.dtype), sink.dtype)), sink)
        return True
    joined = join((extent, axis in axes) for axis, extent in enumerate(source.shape))
    if not joined or joined[0][1]:
        joined.insert(0, (1, False))
    shape = tuple(extent for extent, _ in joined)
    kernel = Reduce(kind, shape, tuple(axis for axis, (_, gone) in enumerate(joined) if gone), source.dtype)
    read = low.view(low.dense(node.inputs[0]), shape)
    low.call(kernel, (read, low.view(low.define(node.outputs[0], sink), kernel.args[1].shape)), node)
    return True


def _axes(node: Node, rank: int) -> set[int] | None:
    """Return the axes that are reduced, None when they are computed."""
    given = attribute(node, "axes")
    if len(node.inputs) > 1 and node.inputs[1] is not None:
        array = const_value(node.inputs[1])
        if array is None:
            return None
        given = array.ravel()
    if given is None or len(given) == 0:
        return set() if attribute(node, "noop_with_empty_axes", 0) else set(range(rank))
    return {int(axis) % rank for axis in given}


def _knows(kind: str, dtype: str) -> bool:
    """Return whether the kernel reduces that type: integers where no function is involved."""
    how = REDUCTIONS.get(kind)
    plain = how is not None and not how.term and not how.finish
    return dtype == "float32" or (dtype in ("int32", "int64") and plain)


def _empty(kind: str, dtype: str) -> float:
    """Return the reduction of nothing, as ONNX defines it."""
    if kind == "mean":
        return np.nan
    how = REDUCTIONS["log-sum" if kind == LOG_SUM_EXP else kind]
    if "int" in dtype:
        return float(np.clip(how.empty, np.iinfo(dtype).min, np.iinfo(dtype).max))
    with np.errstate(divide="ignore"):
        return float(FUNCTIONS[how.finish](Arrays(), how.empty, 1.0, 0.0)) if how.finish else how.empty
