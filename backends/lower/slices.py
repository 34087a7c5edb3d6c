"""Volumes between ONNX's axis order `[n, c, d, h, w]` and the images of their slices."""

from typing import TYPE_CHECKING

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.layout import FromImage
from galen.backends.kernels.permute import Permute
from galen.backends.lower.axes import VOLUME
from galen.ir import Value

if TYPE_CHECKING:
    from galen.backends.lower.lowering import Lowering


def slices_first(low: "Lowering", value: Value) -> int:
    """Return the dense tensor of `value`, of a volume with its slices before its channels."""
    shape, buffer = low.shape(value), low.dense(value)
    return _swapped(low, value, buffer, shape) if len(shape) == VOLUME else buffer


def channels_first(low: "Lowering", value: Value, buffer: int, slices: Image) -> int:
    """Return the dense volume `value`, whose slices are images in `buffer`."""
    n, c, d, h, w = low.shape(value)
    kernel = FromImage(slices)
    between = low.buffer(kernel.args[1])
    low.call(kernel, (buffer, between), low.owner(value))
    dense = _swapped(low, value, low.view(between, (n, d, c, h, w)), (n, d, c, h, w))
    low.alias(value, dense, Spec((n, c, d, h, w), slices.dtype))
    return dense


def _swapped(low: "Lowering", value: Value, source: int, shape: tuple[int, ...]) -> int:
    """Return a buffer with the second and the third axis of `source` exchanged."""
    kernel = Permute(shape, (0, 2, 1, 3, 4), low.buffers[source].dtype)
    buffer = low.buffer(kernel.args[1])
    low.call(kernel, (source, buffer), low.owner(value))
    return buffer
