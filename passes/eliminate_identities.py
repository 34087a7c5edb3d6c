"""Remove nodes that return their input unchanged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from galen.ir import Model, Node, Value
from galen.ir.edit import all_nodes, attribute, bypass, const_value
from galen.ir.shapes import static_shape
from galen.passes.base import Pass


@dataclass(frozen=True)
class EliminateIdentities(Pass, name="eliminate-identities"):
    """Remove what does nothing.

    Identity, Dropout outside training, Cast to the same type, Transpose in place or undone by the next, Reshape,
    Flatten and Expand to the same shape, Slice of everything, Pad of nothing, Concat of one, adding 0, multiplying by
    1, pooling over 1x1, a second Relu.
    """

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was removed. Uses the shapes that are written in the model (`infer-shapes`)."""
        changed = False
        for node in all_nodes(model):
            source = passed_on(node)
            changed |= source is not None and bypass(node, source)
        return changed


def passed_on(node: Node) -> Value | None:
    """Return the input that a node hands on unchanged, None when it does something."""
    rule = _RULES.get(node.op_type)
    return None if node.domain or rule is None or _second_output_used(node) else rule(node)


def _second_output_used(node: Node) -> bool:
    return any(output.uses() or output.is_graph_output() for output in node.outputs[1:])


def _identity(node: Node) -> Value | None:
    return node.inputs[0]


def _dropout(node: Node) -> Value | None:
    training = node.inputs[2] if len(node.inputs) > 2 else None
    if training is None:
        return node.inputs[0] if attribute(node, "is_test", 1) != 0 else None
    flag = const_value(training)
    return node.inputs[0] if flag is not None and not flag.any() else None


def _cast(node: Node) -> Value | None:
    source = node.inputs[0]
    return source if source is not None and source.dtype == attribute(node, "to") else None


def _transpose(node: Node) -> Value | None:
    source, perm = node.inputs[0], attribute(node, "perm")
    if perm is None or source is None:
        return None
    if perm == sorted(perm):
        return source
    inner = source.producer()
    if inner is None or inner.op_type != "Transpose" or inner.domain:
        return None
    first = attribute(inner, "perm")
    if first is None or [first[axis] for axis in perm] != sorted(perm):
        return None
    return inner.inputs[0]


def _same_shape(node: Node) -> Value | None:
    shape = static_shape(node.outputs[0])
    return node.inputs[0] if shape is not None and shape == static_shape(node.inputs[0]) else None


def _strided_same_shape(node: Node) -> Value | None:
    """Slice: the same shape means everything was taken, unless backwards."""
    steps = const_value(node.inputs[4]) if len(node.inputs) > 4 and node.inputs[4] is not None else np.ones(1)
    return _same_shape(node) if steps is not None and (steps > 0).all() else None


def _pad(node: Node) -> Value | None:
    pads = attribute(node, "pads")
    if pads is None and len(node.inputs) > 1:
        pads = const_value(node.inputs[1])
    return node.inputs[0] if pads is not None and not np.any(pads) else None


def _concat(node: Node) -> Value | None:
    return node.inputs[0] if len(node.inputs) == 1 else None


def _neutral(constant: float, *, either_side: bool) -> Callable[[Node], Value | None]:
    """Return the rule of a binary operator whose constant operand may do nothing, if it does not broadcast either."""

    def rule(node: Node) -> Value | None:
        sides = ((0, 1), (1, 0)) if either_side else ((0, 1),)
        for kept, other in sides:
            source, array = node.inputs[kept], const_value(node.inputs[other])
            if array is None or array.size > 65536 or not (array == constant).all() or source is None:
                continue
            if source.shape is not None and array.ndim <= len(source.shape) and set(array.shape) <= {1}:
                return source
            if static_shape(source) is not None and static_shape(source) == static_shape(node.outputs[0]):
                return source
        return None

    return rule


def _pool(node: Node) -> Value | None:
    trivial = all(
        set(attribute(node, name, [neutral])) == {neutral}
        for name, neutral in (("kernel_shape", 1), ("strides", 1), ("pads", 0))
    )
    return node.inputs[0] if trivial else None


def _relu(node: Node) -> Value | None:
    source = node.inputs[0]
    producer = source.producer() if source is not None else None
    return source if producer is not None and producer.op_type == "Relu" and not producer.domain else None


_RULES: Mapping[str, Callable[[Node], Value | None]] = {
    "Add": _neutral(0, either_side=True),
    "AveragePool": _pool,
    "Cast": _cast,
    "Concat": _concat,
    "Div": _neutral(1, either_side=False),
    "Dropout": _dropout,
    "Expand": _same_shape,
    "Flatten": _same_shape,
    "Identity": _identity,
    "MaxPool": _pool,
    "Mul": _neutral(1, either_side=True),
    "Pad": _pad,
    "Relu": _relu,
    "Reshape": _same_shape,
    "Slice": _strided_same_shape,
    "Squeeze": _same_shape,
    "Sub": _neutral(0, either_side=False),
    "Transpose": _transpose,
    "Unsqueeze": _same_shape,
}
