"""Pooling operators."""

from dataclasses import dataclass, replace

from galen.backends.kernels.base import Image
from galen.backends.kernels.layout import Move
from galen.backends.kernels.pool import GlobalAverage, Pool, PoolKind
from galen.backends.kernels.window import Window
from galen.backends.lower.axes import image_axes
from galen.backends.lower.fuse import epilogue
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.places import ImagePlace
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
    after = epilogue(low, node.outputs[0], low.sink(node.outputs[0]))
    sink = low.sink(after.value)
    below, right = padding_after(node, len(kernel))
    windows = windows_of(low, node, low.image(node.inputs[0]), window, ((sink.h, below), (sink.w, right)))
    call = Pool(windows.source.layout, sink, windows.window, kind_of(node), windows.divisor, after.steps)
    low.call(call, (windows.source.buffer, *after.operands, low.define(after.value, sink)), node)
    return True


@dataclass(frozen=True)
class Windows:
    """What a pooling reads, and what its averages are divided by; see `Pool`."""

    source: ImagePlace
    window: Window
    divisor: int


Axis = tuple[int, int]
"""Outputs along an axis, and the padding after its inputs."""


def windows_of(low: Lowering, node: Node, source: ImagePlace, window: Window, axes: tuple[Axis, Axis]) -> Windows:
    """Return the windows over `source`, of rows and columns.

    Where averages count the padding, but reach beyond it (`ceil_mode`), the image is copied with its padding.
    """
    if not attribute(node, "count_include_pad", 0):
        return Windows(source, window, 0)
    image, (rows, below), (columns, right) = source.layout, *axes
    h, w = window.top + image.h + below, window.left + image.w + right
    whole = Image(image.n, h, w, image.c, 0, image.lanes, image.dtype)
    inside = replace(window, top=0, left=0)
    if not attribute(node, "ceil_mode", 0) or not inside.border((whole.h, whole.w), (rows, columns)):
        return Windows(source, window, window.kh * window.kw)
    copy = Move(image, whole, (image.h, image.w, image.c), offset=(window.top, window.left, 0))
    low.call(copy, (source.buffer, buffer := low.buffer(whole.spec)), node)
    return Windows(ImagePlace(buffer, whole), inside, 0)


def padding_after(node: Node, rank: int) -> tuple[int, ...]:
    """Return the padding at the end of every axis, two at least, as far as the node states it."""
    return (0,) * (2 - rank) + tuple(attribute(node, "pads", None) or [0] * 2 * rank)[rank:]


def kind_of(node: Node) -> PoolKind:
    """Return what a pooling does with its windows."""
    return "max" if node.op_type == "MaxPool" else "average"


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
    whole = window == Window(h, w, window.sy, window.sx)
    return whole and image_axes(low.shape(node.outputs[0]))[2:] == (1, 1)
