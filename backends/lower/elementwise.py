"""Element-wise operators that follow no operator which could take them into its epilogue."""

import numpy as np

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.elementwise import Elementwise
from galen.backends.lower.axes import VOLUME, image_axes, rows_of
from galen.backends.lower.fuse import BINARY, epilogue, step_of
from galen.backends.lower.lowering import Layout, Lowering
from galen.ir import Node, Value


def elementwise(low: Lowering, node: Node) -> bool:
    """Lower an activation or a binary operator, with whatever element-wise follows, in the layout of its input."""
    value = _running_input(low, node)
    if value is None or value.dtype is None or value.dtype.numpy() != np.float32:
        return False
    shape = low.shape(node.outputs[0])
    layout: Layout = Spec(shape, "float32")
    if 3 <= len(shape) <= VOLUME and low.is_image(value):
        n, c, h, w = image_axes(shape)
        layout = Image(n, h, w, c)
    first = step_of(low, node, value, layout)
    if first is None:
        return False
    after = epilogue(low, node.outputs[0], layout)
    steps, operands = (first[0], *after.steps), (*first[1], *after.operands)
    if isinstance(layout, Image):
        source = low.image(value)
        sink = Image(layout.n, layout.h, layout.w, layout.c, low.border(after.value))
        kernel = Elementwise(source.layout, sink, steps)
        low.call(kernel, (source.buffer, *operands, low.define(after.value, sink)), node)
        return True
    rows, columns = rows_of(shape)
    image = Image(1, 1, rows, columns, lanes=1)
    buffer = low.view(low.dense(value), image.spec.shape)
    out = low.view(low.define(after.value, layout), image.spec.shape)
    low.call(Elementwise(image, image, steps), (buffer, *operands, out), node)
    return True


def _running_input(low: Lowering, node: Node) -> Value | None:
    """Return the input of the output's shape that the steps start from, an image where there is one."""
    if node.op_type not in BINARY:
        return node.inputs[0]
    shape = low.shape(node.outputs[0])
    whole = [v for v in node.inputs if v is not None and low.shape(v) == shape and low.known(v)]
    return next((v for v in whole if low.is_image(v)), whole[0] if whole else None)
