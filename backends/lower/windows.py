"""Reading the window of a convolution or pooling node."""

from galen.backends.kernels.window import Window
from galen.backends.lower.axes import image_axes
from galen.ir import GalenError, Node
from galen.ir.edit import attribute
from galen.ir.shapes import static_shape


def window_of(node: Node, kernel: tuple[int, ...]) -> Window:
    """Return the window of `node` with `kernel` taps; one-dimensional operators slide along the columns."""
    rank = len(kernel)
    strides = tuple(attribute(node, "strides", [1] * rank))
    dilations = tuple(attribute(node, "dilations", [1] * rank))
    pads = _pads(node, kernel, strides, dilations)
    if rank == 1:
        return Window(1, kernel[0], 1, strides[0], 1, dilations[0], 0, pads[0])
    (kh, kw), (sy, sx), (dy, dx), (top, left) = kernel, strides, dilations, pads
    return Window(kh, kw, sy, sx, dy, dx, top, left)


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
