"""Convolution and pooling over three axes.

A volume `[n, c, d, h, w]` is held as `n * d` images, slice by slice (`axes.image_axes`).
"""

from math import prod

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.pool import Pool
from galen.backends.kernels.unfold import Unfold
from galen.backends.lower.algorithms import Problem, choose
from galen.backends.lower.axes import VOLUME, image_axes
from galen.backends.lower.convolution import Filters, convolve
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.places import ImagePlace
from galen.backends.lower.pooling import kind_of, padding_after, windows_of
from galen.backends.lower.windows import volume_windows
from galen.ir import Node
from galen.ir.edit import attribute, const_value


def volume_convolution(low: Lowering, node: Node) -> bool:
    """Lower Conv of volumes: slices that are read together become channels, then it is a convolution of images."""
    weights, bias = const_value(node.inputs[1]), const_value(node.inputs[2] if len(node.inputs) > 2 else None)
    shape = low.shape(node.inputs[0])
    if len(shape) != VOLUME or weights is None or weights.dtype != np.float32:
        return False
    taps, groups = weights.shape[2], attribute(node, "group", 1)
    slices, window = volume_windows(node, weights.shape[2:])
    (n, outputs, *sink), (_, inputs, h, w) = image_axes(low.shape(node.outputs[0])), image_axes(shape)
    problem = Problem(n, (h, w), (sink[0], sink[1]), taps * inputs, outputs, window, groups)
    algorithm = choose(problem, low.target)
    source = low.image(node.inputs[0])
    unfolded = Image(n, h, w, taps * inputs, algorithm.border)
    step = Unfold(source.layout, unfolded, shape[0], taps, slices.sy, slices.dy, slices.top, groups)
    place = ImagePlace(low.buffer(unfolded.spec), unfolded)
    low.call(step, (source.buffer, place.buffer), node)
    filters = weights.swapaxes(1, 2).reshape(outputs, -1, window.kh, window.kw)
    convolve(low, node, place, algorithm, Filters(filters, bias))
    return True


def volume_pool(low: Lowering, node: Node) -> bool:
    """Lower MaxPool and AveragePool of volumes: over the pixels of every slice, then over slices seen as rows."""
    kernel, shape = tuple(attribute(node, "kernel_shape")), low.shape(node.inputs[0])
    if len(shape) != VOLUME or (len(node.outputs) > 1 and node.outputs[1].uses()):
        return False
    slices, window = volume_windows(node, kernel)
    n, c, h, w = image_axes(low.shape(node.outputs[0]))
    behind, below, right = padding_after(node, len(kernel))
    pixels = windows_of(low, node, low.image(node.inputs[0]), window, ((h, below), (w, right)))
    flat = Image(shape[0] * shape[2], h, w, c)
    first = Pool(pixels.source.layout, flat, pixels.window, kind_of(node), pixels.divisor)
    between, sink = low.buffer(flat.spec), low.define(node.outputs[0], Image(n, h, w, c))
    low.call(first, (pixels.source.buffer, between), node)
    rows, out = Image(shape[0], shape[2], h * w, c), Image(shape[0], n // shape[0], h * w, c)
    place = ImagePlace(low.view(between, rows.spec.shape), rows)
    columns = windows_of(low, node, place, slices, ((out.h, behind), (out.w, 0)))
    second = Pool(columns.source.layout, out, columns.window, kind_of(node), columns.divisor)
    low.call(second, (columns.source.buffer, low.view(sink, out.spec.shape)), node)
    return True


def rows_of_slices(image: Image, shape: tuple[int, ...]) -> Image:
    """Return `image`, that of a volume of this shape with its slices below each other; it has no border then."""
    return Image(shape[0], prod(shape[2:4]), image.w, image.c) if len(shape) == VOLUME else image
