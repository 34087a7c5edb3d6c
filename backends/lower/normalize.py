"""InstanceNormalization and GroupNormalization of images and volumes."""

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.group_norm import GroupNorm
from galen.backends.lower.axes import VOLUME, image_axes
from galen.backends.lower.fuse import Epilogue, epilogue
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.volume import rows_of_slices
from galen.ir import Node, Value
from galen.ir.edit import attribute, const_value
from galen.ir.shapes import static_shape

EPSILON = 1e-5
"""Of both operators, where a node does not say."""


def instance_norm(low: Lowering, node: Node) -> bool:
    """Lower InstanceNormalization: every channel is a group."""
    return is_normalisation(node) and _normalise(low, node, low.shape(node.inputs[0])[1])


def group_norm(low: Lowering, node: Node) -> bool:
    """Lower GroupNormalization."""
    return is_normalisation(node) and _normalise(low, node, attribute(node, "num_groups"))


def is_normalisation(node: Node) -> bool:
    """Return whether the kernel knows it: images or volumes, with constant scale and bias."""
    shape, constants = static_shape(node.inputs[0]), [const_value(value) for value in node.inputs[1:3]]
    known = all(constant is not None and constant.dtype == np.float32 for constant in constants)
    return known and shape is not None and 3 <= len(shape) <= VOLUME


def _normalise(low: Lowering, node: Node, groups: int) -> bool:
    shape = low.shape(node.inputs[0])
    n, c, h, w = image_axes(shape)
    source, after = low.image(node.inputs[0]), Epilogue(node.outputs[0])
    if len(shape) < VOLUME:
        after = epilogue(low, node.outputs[0], Image(n, h, w, c))
    sink = Image(n, h, w, c, low.border(after.value))
    layouts = rows_of_slices(source.layout, shape), rows_of_slices(sink, shape)
    kernel = GroupNorm(*layouts, groups, attribute(node, "epsilon", EPSILON), after.steps)
    constants = [_of_channels(value, c, source.layout.channels, low) for value in node.inputs[1:3]]
    out = low.view(low.define(after.value, sink), kernel.sink.spec.shape)
    read = low.view(source.buffer, kernel.source.spec.shape)
    low.call(kernel, (read, *constants, *after.operands, out), node)
    return True


def _of_channels(value: Value | None, c: int, stored: int, low: Lowering) -> int:
    """Return a constant of every channel in memory: before operator set 21 there was one of every group."""
    given = const_value(value)
    if given is None:
        raise ValueError("the constant is missing")
    vector = np.zeros(stored, np.float32)
    vector[:c] = np.repeat(given, c // given.size)
    return low.constant(vector)
