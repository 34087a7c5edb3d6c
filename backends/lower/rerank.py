"""Integers of the rank that kernels know them by: images have four axes, rows of channels have fewer.

Lowering tells images of integers from rows by their rank. A convolution over one axis works on `[n, c, w]`, which is an
image of one row; a product of `[n, h, w, c]` with a matrix works on rows. Around such layers, and what stands between
them and treats all elements alike, the axes are changed: one axis put in, or all but the last joined.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from galen.backends.integer_layers import layer
from galen.backends.integer_rules import TABLED
from galen.backends.qdq import integers
from galen.ir import GalenError, Model, Node, Shape, Value
from galen.ir.edit import Names, attribute, const_value, new_initializer, replace_uses, set_attribute
from galen.ir.shapes import static_shape

_SIGNAL, _IMAGE = 3, 4
_POOLS = frozenset({"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"})
_PER_AXIS = ("kernel_shape", "strides", "dilations")

Dims = tuple[int, ...]


@dataclass(frozen=True)
class Form:
    """What values are taken for.

    Attributes:
        fits: whether a node works on such values as well as on those it has.
        axes: the new shape of a value.
        adapt: changes what else of a node names axes.
    """

    fits: Callable[[Node], bool]
    axes: Callable[[Dims], Dims]
    adapt: Callable[[Node, Names], None]


def rerank(model: Model) -> None:
    """Give signals the axes of images, and rows of many axes those of rows, where layers of integers work on them.

    Args:
        model: with static shapes.
    """
    for node in list(model.graph):
        if node.op_type == "Conv" and _rank(node.outputs[0]) == _SIGNAL and layer(node):
            _change(model, node, SIGNALS)
        elif node.op_type == "MatMul" and _rank(node.outputs[0]) >= _IMAGE and layer(node):
            _change(model, node, ROWS)


def _rank(value: Value | None) -> int:
    return len(static_shape(value) or ())


def _change(model: Model, seed: Node, form: Form) -> None:
    """Give the values around `seed` the axes of `form`, as far as neighbours fit; where they do not, Reshape."""
    names, region = Names(model), _region(seed, form)
    entries: dict[Value, Value] = {}
    for node in [node for node in model.graph if node in region]:
        for index in _data(node):
            value = node.inputs[index]
            if value is not None and value.producer() not in region:
                if value not in entries:
                    before = _reshape(model, value, form.axes(static_shape(value) or ()), names)
                    model.graph.insert_before(node, before)
                    entries[value] = before.outputs[0]
                node.replace_input_with(index, entries[value])
        form.adapt(node, names)
    for node in region:
        shape = static_shape(node.outputs[0]) or ()
        node.outputs[0].shape = Shape(form.axes(shape))
        if node.outputs[0].is_graph_output() or any(use.node not in region for use in node.outputs[0].uses()):
            _restore(model, node, region, shape, names)


def _restore(model: Model, node: Node, region: Collection[Node], shape: Dims, names: Names) -> None:
    """Give what is not in `region`, and the caller, a value of the shape that the output of `node` had."""
    output = node.outputs[0]
    inside = [use for use in output.uses() if use.node in region]
    after = _reshape(model, output, shape, names)
    model.graph.insert_after(node, after)
    replace_uses(output, after.outputs[0])
    output.name = output.name or names.fresh(f"{after.outputs[0].name}_reranked")
    for use in inside:
        use.node.replace_input_with(use.idx, output)
    after.replace_input_with(0, output)


def _region(seed: Node, form: Form) -> dict[Node, None]:
    """Return the nodes that are reached from `seed` over values of nodes that fit."""
    region, waiting = {seed: None}, [seed]
    while waiting:
        node = waiting.pop()
        inputs = [value for index in _data(node) if (value := node.inputs[index]) is not None]
        producers = [producer for value in inputs if (producer := value.producer()) is not None]
        readers = [use.node for value in (*inputs, node.outputs[0]) for use in value.uses()]
        for neighbour in (*producers, *readers):
            if neighbour not in region and form.fits(neighbour):
                region[neighbour] = None
                waiting.append(neighbour)
    return region


def _data(node: Node) -> Sequence[int]:
    """Return the inputs of a node that are computed, and not mere parameters."""
    first = 1 if node.op_type in ("Conv", "MatMul", "DequantizeLinear", "QuantizeLinear") else len(node.inputs)
    return [index for index, value in enumerate(node.inputs[:first]) if value is not None and not _is_constant(value)]


def _is_constant(value: Value) -> bool:
    found = integers(value)
    return const_value(value) is not None or (found is not None and found.constant is not None)


def _reshape(model: Model, value: Value, shape: Dims, names: Names) -> Node:
    """Return a node that gives `value` another shape; it belongs to no graph yet."""
    name = names.fresh(f"{value.name}_reshaped")
    target = new_initializer(model.graph, np.array(shape, np.int64), names.fresh(f"{name}_shape"))
    node = Node("", "Reshape", [value, target], name=name)
    output = node.outputs[0]
    output.name, output.shape, output.type = name, Shape(shape), value.type
    return node


def _is_signal(node: Node) -> bool:
    if len(node.outputs) != 1 or _rank(node.outputs[0]) != _SIGNAL or node.domain:
        return False
    if node.op_type == "Conv":
        return layer(node) is not None
    if node.op_type == "Concat":
        return attribute(node, "axis") % _SIGNAL == 1 and not any(v is None or _is_constant(v) for v in node.inputs)
    return node.op_type in _POOLS or _is_alike(node, ())


def _is_rows(node: Node) -> bool:
    if len(node.outputs) != 1 or _rank(node.outputs[0]) < _IMAGE or node.domain:
        return False
    if node.op_type == "MatMul":
        found = layer(node)
        return found is not None and found.weights.ndim == 2
    return _is_alike(node, (static_shape(node.outputs[0]) or ())[-1:])


def _is_alike(node: Node, vector: Dims) -> bool:
    """Return whether a node treats all elements alike, but for constants of the shape `vector`."""
    data, shape = _data(node), static_shape(node.outputs[0])
    if not data or any(static_shape(node.inputs[index]) != shape for index in data):
        return False
    others = [value for index, value in enumerate(node.inputs) if index not in data and value is not None]
    if node.op_type in ("DequantizeLinear", "QuantizeLinear"):
        return all((array := const_value(value)) is not None and array.size == 1 for value in others)
    sizes = [static_shape(value) for value in others]
    return node.op_type in TABLED and all(size == vector or (size is not None and prod(size) == 1) for size in sizes)


def _with_row(node: Node, names: Names) -> None:
    """Put the axis of rows into what a node over one axis says of its axes, and into its weights."""
    for name in _PER_AXIS:
        if (values := attribute(node, name)) is not None:
            set_attribute(node, name, [1, *values])
    if node.op_type == "Concat":
        set_attribute(node, "axis", 1)
    if (pads := attribute(node, "pads")) is not None:
        set_attribute(node, "pads", [0, pads[0], 0, pads[1]])
    if node.op_type == "Conv":
        _weights_with_row(node, names)


def _weights_with_row(node: Node, names: Names) -> None:
    """Give a convolution weights `[co, ci, 1, k]`, dequantized as those it has."""
    value, graph = node.inputs[1], node.graph
    found, dequantize = integers(value), value.producer() if value is not None else None
    if value is None or found is None or found.constant is None or dequantize is None or graph is None:
        raise GalenError("is no convolution of integers", where=node.name)
    array = found.constant[:, :, None]
    name = names.fresh(f"{found.q.name}_image")
    inputs = [new_initializer(graph, array, name), *dequantize.inputs[1:]]
    again = Node("", "DequantizeLinear", inputs, list(dequantize.attributes.values()), name=names.fresh(f"{name}_dq"))
    output = again.outputs[0]
    output.name, output.shape, output.type = again.name, Shape(array.shape), value.type
    graph.insert_before(node, again)
    node.replace_input_with(1, output)


def _image_axes(shape: Dims) -> Dims:
    n, c, w = shape
    return n, c, 1, w


def _row_axes(shape: Dims) -> Dims:
    return 1, prod(shape[:-1]), shape[-1]


SIGNALS = Form(_is_signal, _image_axes, _with_row)
ROWS = Form(_is_rows, _row_axes, lambda _node, _names: None)
