"""What exporters write as several nodes becomes one: activations, to fit into an epilogue, and group norms."""

from math import isclose, sqrt

import numpy as np

from galen.backends.lower.normalize import is_normalisation
from galen.ir import Model, Node, Value, convert_attribute
from galen.ir.edit import Names, attribute, const_value, new_initializer, replace_node
from galen.ir.shapes import static_shape


def fuse_activations(model: Model) -> None:
    """Replace x * sigmoid(x), x * hard-sigmoid(x) and x / 2 * (1 + erf(x / sqrt 2)) by Swish, HardSwish and Gelu."""
    for node in list(model.graph):
        if node.op_type != "Mul" or node.graph is None:
            continue
        for operator, match in (("Swish", _swish), ("HardSwish", _hard_swish), ("Gelu", _gelu)):
            if (source := match(node)) is not None:
                fused = Node("", operator, [source], name=node.name)
                replace_node(node, [fused], fused.outputs)
                break


def fuse_group_norms(model: Model) -> None:
    """Replace the InstanceNormalization of channels reshaped to groups, as torch writes it, by GroupNormalization."""
    for node in list(model.graph):
        norm = _producer(node.inputs[0], "InstanceNormalization") if node.op_type == "Reshape" else None
        before = _producer(norm.inputs[0], "Reshape") if norm is not None else None
        if norm is None or before is None:
            continue
        source, grouped = static_shape(before.inputs[0]), static_shape(norm.inputs[0])
        if source is None or grouped is None or static_shape(node.outputs[0]) != source or source[0] != grouped[0]:
            continue
        attributes = [convert_attribute("num_groups", grouped[1]), *norm.attributes.values()]
        inputs = [before.inputs[0], *norm.inputs[1:]]
        fused = Node("", "GroupNormalization", inputs, attributes, name=node.name)
        if is_normalisation(fused) and source[1] % grouped[1] == 0:
            replace_node(node, [fused], fused.outputs)


def split_batch_norms(model: Model) -> None:
    """Replace every BatchNormalization that follows no convolution by a product and a sum, which epilogues take."""
    names = Names(model)
    for node in list(model.graph):
        constants = [const_value(value) for value in node.inputs[1:]] if node.op_type == "BatchNormalization" else []
        shape, graph = static_shape(node.inputs[0]) if constants else None, node.graph
        if shape is None or graph is None or any(c is None or c.dtype != np.float32 for c in constants):
            continue
        if attribute(node, "training_mode", 0) or any(value.uses() for value in node.outputs[1:]):
            continue
        scale, bias, mean, variance = (np.asarray(constant, np.float64) for constant in constants)
        factor = scale / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
        along = (-1, *[1] * (len(shape) - 2))
        values = [
            new_initializer(graph, array.reshape(along).astype(np.float32), names.fresh(f"{node.name}_{name}"))
            for name, array in (("scale", factor), ("shift", bias - mean * factor))
        ]
        product = Node("", "Mul", [node.inputs[0], values[0]], name=names.fresh(f"{node.name}_scaled"))
        total = Node("", "Add", [product.outputs[0], values[1]], name=node.name)
        between, whole = product.outputs[0], node.outputs[0]
        between.name, between.type, between.shape = names.fresh(f"{node.name}_scaled"), whole.type, whole.shape
        node.resize_outputs(1)
        replace_node(node, [product, total], total.outputs)


def _swish(node: Node) -> Value | None:
    return _gated(node, "Sigmoid")


def _hard_swish(node: Node) -> Value | None:
    source = _gated(node, "HardSigmoid")
    if source is None:
        return None
    gate = next(p for v in node.inputs if (p := _producer(v, "HardSigmoid")) is not None)
    slope, shift = attribute(gate, "alpha", 0.2), attribute(gate, "beta", 0.5)
    return source if isclose(slope, 1 / 6, rel_tol=1e-4) and isclose(shift, 0.5, rel_tol=1e-4) else None


def _gated(node: Node, operator: str) -> Value | None:
    """Return x where `node` is x * operator(x)."""
    for value, other in _orders(node):
        gate = _producer(other, operator)
        if gate is not None and gate.inputs[0] is value:
            return value
    return None


def _gelu(node: Node) -> Value | None:
    """Return x where `node` is the last product of a GELU, in either association."""
    for value, other in _orders(node):
        if _is(other, 0.5) and (product := _producer(value, "Mul")) is not None:  # (x * (1 + erf)) * 0.5
            for source, factor in _orders(product):
                if source is not None and _error_function(factor) is source:
                    return source
        half = _producer(value, "Mul")  # (x * 0.5) * (1 + erf)
        if half is not None and (source := _scaled(half, 0.5)) is not None and _error_function(other) is source:
            return source
    return None


def _error_function(value: Value | None) -> Value | None:
    """Return x where `value` is 1 + erf(x / sqrt 2)."""
    total = _producer(value, "Add")
    if total is None:
        return None
    for one, other in _orders(total):
        erf = _producer(other, "Erf")
        if _is(one, 1.0) and erf is not None:
            division, product = _producer(erf.inputs[0], "Div"), _producer(erf.inputs[0], "Mul")
            if division is not None and _is(division.inputs[1], sqrt(2)):
                return division.inputs[0]
            return _scaled(product, sqrt(0.5)) if product is not None else None
    return None


def _scaled(node: Node, factor: float) -> Value | None:
    """Return x where `node` is x * factor."""
    return next((value for value, other in _orders(node) if _is(other, factor)), None)


def _orders(node: Node) -> tuple[tuple[Value | None, Value | None], ...]:
    left, right = node.inputs
    return (left, right), (right, left)


def _producer(value: Value | None, operator: str) -> Node | None:
    node = value.producer() if value is not None else None
    return node if node is not None and node.op_type == operator else None


def _is(value: Value | None, number: float) -> bool:
    constant = const_value(value)
    return constant is not None and constant.size == 1 and isclose(float(constant.ravel()[0]), number, rel_tol=1e-4)
