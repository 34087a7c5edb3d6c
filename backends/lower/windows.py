"""Reading the window of a convolution or pooling node."""

from galen.backends.kernels.window import Window
from galen.backends.lower.axes import image_axes
from galen.ir import GalenError, Node
from galen.ir.edit import attribute
from galen.ir.shapes import static_shape


def window_of(node: Node, kernel: tuple[int, ...]) -> Window:
    """Return the window of `node` with `kernel` taps; one-dimensional operators slide along the columns."""
    return _window(*_axes(node, kernel)[-2:])


def volume_windows(node: Node, kernel: tuple[int, ...]) -> tuple[Window, Window]:
    """Return the window over the slices of a volume, as rows of one column, and the one over the pixels of a slice."""
    slices, rows, columns = _axes(node, kernel)
    return _window(slices, _NONE), _window(rows, columns)


_Axis = tuple[int, int, int, int]
"""Taps, stride, dilation and padding before."""
_NONE: _Axis = (1, 1, 1, 0)


def _window(rows: _Axis, columns: _Axis) -> Window:
    (kh, sy, dy, top), (kw, sx, dx, left) = rows, columns
    return Window(kh, kw, sy, sx, dy, dx, top, left)


def _axes(node: Node, kernel: tuple[int, ...]) -> list[_Axis]:
    """Return every axis of the window, two at least."""
    rank = len(kernel)
    strides = tuple(attribute(node, "strides", [1] * rank))
    dilations = tuple(attribute(node, "dilations", [1] * rank))
    pads = _pads(node, kernel, strides, dilations)
    return [_NONE] * (2 - rank) + list(zip(kernel, strides, dilations, pads, strict=True))


def _pads(node: Node, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]) -> tuple[int, ...]:
    """Return the padding at the beginning of every axis; that at the end follows from the output's shape."""
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode == "NOTSET":
        return tuple(attribute(node, "pads", [0] * 2 * len(kernel))[: len(kernel)])
    if mode == "VALID":
        return (0,) * len(kernel)
    source, sink = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if source is None or sink is None:
        raise GalenError("its shape is not known", where=f"node {node.name}")
    before = []
    for k, s, d, size, out in zip(kernel, strides, dilations, source[2:], sink[2:], strict=True):
        total = max((out - 1) * s + (k - 1) * d + 1 - size, 0)
        before.append(total // 2 if mode == "SAME_UPPER" else total - total // 2)
    return tuple(before)


def window_border(node: Node, kernel: tuple[int, ...]) -> int:
    """Return the border that the window needs around the node's first input."""
    source, sink = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if source is None or sink is None:
        return 0
    return window_of(node, kernel).border(image_axes(source)[2:], image_axes(sink)[2:])
