"""Pooling operators."""

from galen.backends.kernels.base import Image
from galen.backends.kernels.pool import GlobalAverage, Pool
from galen.backends.kernels.window import Window
from galen.backends.lower.axes import image_axes
from galen.backends.lower.fuse import epilogue
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.windows import window_of
from galen.ir import Node
from galen.ir.edit import attribute, const_value


def pool(low: Lowering, node: Node) -> bool:
    """Lower MaxPool (without indices) and AveragePool."""
    kernel = tuple(attribute(node, "kernel_shape"))
    if len(node.outputs) > 1 and node.outputs[1].uses():
        return False
    if len(kernel) not in (1, 2) or len(low.shape(node.inputs[0])) != len(kernel) + 2:
        return False
    window = window_of(node, kernel)
    if node.op_type == "AveragePool" and _is_global(low, node, window):
        return global_average(low, node)
    divisor = kernel[0] * kernel[-1] if attribute(node, "count_include_pad", 0) and len(kernel) == 2 else 0
    source = low.image(node.inputs[0])
    after = epilogue(low, node.outputs[0], low.sink(node.outputs[0]))
    sink = low.sink(after.value)
    call = Pool(source.layout, sink, window, "max" if node.op_type == "MaxPool" else "average", divisor, after.steps)
    low.call(call, (source.buffer, *after.operands, low.define(after.value, sink)), node)
    return True


def global_average(low: Lowering, node: Node) -> bool:
    """Lower GlobalAveragePool of images, and what amounts to it."""
    if len(low.shape(node.inputs[0])) not in (3, 4):
        return False
    source = low.image(node.inputs[0])
    after = epilogue(low, node.outputs[0], low.sink(node.outputs[0]))
    sink = low.sink(after.value)
    kernel = GlobalAverage(source.layout, sink, after.steps)
    low.call(kernel, (source.buffer, *after.operands, low.define(after.value, sink)), node)
    return True


def reduce_mean(low: Lowering, node: Node) -> bool:
    """Lower ReduceMean over the pixels of an image."""
    shape = low.shape(node.inputs[0])
    given = const_value(node.inputs[1]) if len(node.inputs) > 1 else attribute(node, "axes")
    axes = sorted(int(axis) % len(shape) for axis in (given if given is not None else ()))
    if len(shape) != 4 or axes != [2, 3] or not low.is_image(node.inputs[0]):
        return False
    if attribute(node, "keepdims", 1):
        return global_average(low, node)
    source, spec = low.image(node.inputs[0]), low.spec(node.outputs[0])
    pixel = Image(shape[0], 1, 1, shape[1], lanes=1)
    out = low.view(low.define(node.outputs[0], spec), pixel.spec.shape)
    low.call(GlobalAverage(source.layout, pixel), (source.buffer, out), node)
    return True


def global_max(low: Lowering, node: Node) -> bool:
    """Lower GlobalMaxPool: one window over the whole image."""
    if len(low.shape(node.inputs[0])) not in (3, 4):
        return False
    source = low.image(node.inputs[0])
    after = epilogue(low, node.outputs[0], low.sink(node.outputs[0]))
    sink = low.sink(after.value)
    kernel = Pool(source.layout, sink, Window(source.layout.h, source.layout.w), "max", steps=after.steps)
    low.call(kernel, (source.buffer, *after.operands, low.define(after.value, sink)), node)
    return True


def _is_global(low: Lowering, node: Node, window: Window) -> bool:
    _, _, h, w = image_axes(low.shape(node.inputs[0]))
    whole = (window.kh, window.kw, window.top, window.left) == (h, w, 0, 0)
    return whole and image_axes(low.shape(node.outputs[0]))[2:] == (1, 1)
