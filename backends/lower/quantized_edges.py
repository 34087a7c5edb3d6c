"""Where a network goes from fp32 to integers and back."""

import numpy as np

from galen.backends.integer_layers import biased, layer, result
from galen.backends.integer_rules import dequantize as in_numpy
from galen.backends.integer_rules import quantize as rounded_to
from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.int8_layout import Dequantize, Quantize
from galen.backends.lower.integers import (
    FEW,
    LANES,
    form,
    image,
    limits,
    moved,
    publish,
    readers_border,
    store,
    zero_point,
)
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.narrow_weights import narrow
from galen.backends.lower.places import Place
from galen.backends.lower.quantized_elementwise import look_up
from galen.backends.lower.quantized_upsampling import transposable
from galen.backends.qdq import Integers, activation, integers, rounded, stored
from galen.ir import Model, Node, Value
from galen.ir.edit import attribute, const_value, new_initializer, replace_uses


def fold_weights(model: Model) -> None:
    """Make fp32 constants of dequantized ones whose reader does not compute in integers: weights quantized alone."""
    for node in list(model.graph):
        found = integers(node.outputs[0])
        if found is None or found.constant is None or node.outputs[0].is_graph_output():
            continue
        readers = [use.node for use in node.outputs[0].uses()]
        if not any(map(_reads_integers, readers)):
            array = in_numpy(found.constant, found)
            replace_uses(node.outputs[0], new_initializer(model.graph, array, f"{node.outputs[0].name}_folded"))


def _reads_integers(node: Node) -> bool:
    if node.op_type == "Add":
        return biased(node) is not None and rounded(node) is not None
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return transposable(node) is not None
    return (layer(node) is not None and result(node) is not None) or narrow(node) is not None


def quantize(low: Lowering, node: Node) -> bool:
    """Lower QuantizeLinear of a computed fp32 value, and a Clip of its integers."""
    value, to = node.inputs[0], stored(node)
    if value is None or to is None or const_value(value) is not None:
        return False
    if (x := activation(value)) is not None:
        every = in_numpy(np.arange(256) + np.iinfo(x.zero.dtype).min, x)
        values = np.clip(rounded_to(every, np.asarray(to.scale), np.asarray(to.zero, to.dtype)), to.low, to.high)
        look_up(low, node, x, to, values)
        return True
    few = len(low.shape(value)) == 4 and low.shape(value)[1] <= FEW and _only_convolved(low, to.q)
    sink = form(low, to.q, readers_border(low, to.q) + few, FEW if few else LANES)
    if len(low.shape(value)) == 4 and low.is_image(value):
        place: Place = low.image(value)
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
