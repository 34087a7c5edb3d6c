"""Which element-wise operators follow a value and can be computed while it is in registers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.steps import SIMPLE, Activation, Binary, BinaryName, Convert, Step
from galen.backends.lower.axes import image_axes, rows_of
from galen.backends.lower.lowering import FLOATS, HALF, HALF_LANES, Lowering
from galen.backends.lower.places import Layout
from galen.ir import Node, Value
from galen.ir.edit import attribute, const_value

MAX = 3e38
"""Bound of a Clip that has none."""

BINARY: dict[str, tuple[BinaryName, BinaryName]] = {
    "Add": ("add", "add"),
    "Sub": ("sub", "rsub"),
    "Mul": ("mul", "mul"),
    "Div": ("div", "rdiv"),
    "Max": ("max", "max"),
    "Min": ("min", "min"),
    "PRelu": ("prelu", "prelu"),
}
"""Operator -> step when the running value is its left, its right input."""


@dataclass
class Epilogue:
    """Steps after a value, the buffers that they read, and the value that results."""

    value: Value
    steps: tuple[Step, ...] = ()
    operands: tuple[int, ...] = ()
    nodes: list[Node] = field(default_factory=list)


def epilogue(low: Lowering, value: Value, layout: Layout) -> Epilogue:
    """Follow the sole readers of `value`, which will be held as `layout`, while they are element-wise.

    The nodes are marked as absorbed.
    """
    found = Epilogue(value)
    while (node := sole_reader(low, found.value)) is not None:
        step = step_of(low, node, found.value, layout)
        if step is None or not _may_follow(found, step[0]):
            break
        found.steps += (step[0],)
        found.operands += step[1]
        found.nodes.append(node)
        found.value = node.outputs[0]
    low.absorb(*found.nodes)
    return found


def _may_follow(found: Epilogue, step: Step) -> bool:
    """Return whether `step` can follow those that were found.

    One at most changes the type, so that all images have the channels that either type needs. One at most is a function
    that takes a polynomial: TVM takes minutes for several.
    """
    if isinstance(step, Convert):
        return not any(isinstance(other, Convert) for other in found.steps)
    return not (_is_function(step) and any(map(_is_function, found.steps)))


def _is_function(step: Step) -> bool:
    return isinstance(step, Activation) and step.name not in {"relu", *SIMPLE}


def sole_reader(low: Lowering, value: Value) -> Node | None:
    """Return the only node that reads `value`, None when there are several or it is an output."""
    readers = low.readers(value)
    return readers[0] if len(readers) == 1 and not value.is_graph_output() else None


def step_of(low: Lowering, node: Node, value: Value, layout: Layout) -> tuple[Step, tuple[int, ...]] | None:
    """Return `node` as a step on `value` with the buffers it reads, None when it is no element-wise operator."""
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "Mul" and node.inputs[0] is node.inputs[1]:
        return Activation("square"), ()
    if node.op_type == "Cast":
        given, made = low.spec(value).dtype, low.spec(node.outputs[0]).dtype
        return (Convert(made), ()) if {given, made} <= {*FLOATS} else None
    if node.op_type in ACTIVATIONS and node.inputs[0] is value:
        activation = ACTIVATIONS[node.op_type](node)
        return None if activation is None else (activation, ())
    if node.op_type in BINARY and len(node.inputs) == 2 and node.inputs[0] is not node.inputs[1]:
        return _binary(low, node, value, layout)
    return None


def _binary(low: Lowering, node: Node, value: Value, layout: Layout) -> tuple[Step, tuple[int, ...]] | None:
    left = node.inputs[0] is value
    other = node.inputs[1 if left else 0]
    if other is None or low.shape(node.outputs[0]) != low.shape(value) or not low.known(other):
        return None
    if node.op_type == "PRelu" and not left:
        return None
    name = BINARY[node.op_type][0 if left else 1]
    constant = const_value(other)
    if constant is not None and constant.size == 1 and name in ("add", "sub", "mul", "div", "rsub"):
        return _affine(name, float(constant.ravel()[0])), ()
    place = operand(low, other, low.shape(value), layout)
    return None if place is None else (Binary(name, place[1]), (place[0],))


def _affine(name: BinaryName, constant: float) -> Step:
    scale = {"mul": constant, "div": 1 / np.float32(constant) if constant else np.inf, "rsub": -1.0}.get(name, 1.0)
    shift = {"add": constant, "sub": -constant, "rsub": constant}.get(name, 0.0)
    return Activation("affine", float(scale), shift)


def operand(low: Lowering, value: Value, shape: tuple[int, ...], layout: Layout) -> tuple[int, Image] | None:
    """Return where a step finds `value`, which broadcasts to `shape`, when the result is held as `layout`."""
    dtype = low.spec(value).dtype
    if dtype not in FLOATS:
        return None
    if isinstance(layout, Spec):
        return _row_operand(low, value, shape)
    own = (1,) * (len(shape) - len(low.shape(value))) + low.shape(value)
    n, c, h, w = image_axes(own)
    if n not in (1, layout.n):
        return None  # what differs between slices, but not between volumes
    if const_value(value) is not None or not low.is_image(value):
        image = Image(n, h, w, c, 0, (HALF_LANES if dtype == HALF else 4) if c > 1 else 1, dtype)
        constant = const_value(value)
        if constant is not None:
            return low.constant(image.place(constant.reshape(n, c, h, w).transpose(0, 2, 3, 1))), image
    if len(low.shape(value)) != len(shape):
        return None
    place = low.image(value)
    return place.buffer, place.layout


def _row_operand(low: Lowering, value: Value, shape: tuple[int, ...]) -> tuple[int, Image] | None:
    """Return `value` as rows that broadcast to the rows of `shape`, None when it broadcasts in another way."""
    own = (1,) * (len(shape) - len(low.shape(value))) + low.shape(value)
    rows, columns = rows_of(shape)
    if own == shape:
        extents = rows, columns
    elif all(extent == 1 for extent in own[:-1]) and own[-1] in (1, columns):
        extents = 1, own[-1]
    elif own[:-1] == shape[:-1] and own[-1] == 1:
        extents = rows, 1
    else:
        return None
    image = Image(1, 1, *extents, lanes=1, dtype=low.spec(value).dtype)
    return low.view(low.dense(value), image.spec.shape), image


def _clip(node: Node) -> Activation | None:
    bounds: list[Any] = [attribute(node, "min"), attribute(node, "max")]
    for index in (1, 2):
        if len(node.inputs) > index and node.inputs[index] is not None:
            constant = const_value(node.inputs[index])
            if constant is None:
                return None
            bounds[index - 1] = float(constant)
    low, high = (bounds[0] if bounds[0] is not None else -MAX), (bounds[1] if bounds[1] is not None else MAX)
    return Activation("clip", low, high)


def _power(node: Node) -> Activation | None:
    exponent = const_value(node.inputs[1])
    if exponent is None or exponent.size != 1:
        return None
    name = {2.0: "square", 3.0: "cube", 0.5: "sqrt", -1.0: "reciprocal"}.get(float(exponent.ravel()[0]))
    return Activation(name) if name else None


def _gelu(node: Node) -> Activation:
    return Activation("gelu-tanh" if attribute(node, "approximate", "none") == "tanh" else "gelu")


ACTIVATIONS: dict[str, Callable[[Node], Activation | None]] = {
    "Relu": lambda _: Activation("relu"),
    "Clip": _clip,
    "LeakyRelu": lambda node: Activation("leaky-relu", attribute(node, "alpha", 0.01)),
    "Elu": lambda node: Activation("elu", attribute(node, "alpha", 1.0)),
    "Celu": lambda node: Activation("celu", attribute(node, "alpha", 1.0)),
    "Selu": lambda node: Activation("selu", attribute(node, "alpha", 1.6732632), attribute(node, "gamma", 1.050701)),
    "Softsign": lambda _: Activation("softsign"),
    "ThresholdedRelu": lambda node: Activation("thresholded-relu", attribute(node, "alpha", 1.0)),
    "HardSigmoid": lambda node: Activation("hard-sigmoid", attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5)),
    "HardSwish": lambda _: Activation("hard-swish"),
    "Sigmoid": lambda _: Activation("sigmoid"),
    "Swish": lambda _: Activation("silu"),
    "Tanh": lambda _: Activation("tanh"),
    "Erf": lambda _: Activation("erf"),
    "Gelu": _gelu,
    "Exp": lambda _: Activation("exp"),
    "Sqrt": lambda _: Activation("sqrt"),
    "Abs": lambda _: Activation("abs"),
    "Neg": lambda _: Activation("affine", -1.0, 0.0),
    "Pow": _power,
    "Reciprocal": lambda _: Activation("reciprocal"),
    "Log": lambda _: Activation("log"),
    "Softplus": lambda _: Activation("softplus"),
    "Mish": lambda _: Activation("mish"),
    "Sin": lambda _: Activation("sin"),
    "Cos": lambda _: Activation("cos"),
    "Sign": lambda _: Activation("sign"),
    "Floor": lambda _: Activation("floor"),
    "Ceil": lambda _: Activation("ceil"),
    "Round": lambda _: Activation("round"),
}
