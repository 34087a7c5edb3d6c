"""ConvTranspose: one convolution that computes all outputs around an input as channels, then channels become pixels."""

from dataclasses import dataclass

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.interleave import Interleave
from galen.backends.kernels.window import Window
from galen.backends.lower.algorithms import Problem, choose
from galen.backends.lower.axes import image_axes
from galen.backends.lower.fuse import epilogue
from galen.backends.lower.lowering import Lowering
from galen.backends.target import Target
from galen.ir import Node, Value
from galen.ir.edit import attribute, const_value
from galen.ir.shapes import static_shape


@dataclass(frozen=True)
class _Axis:
    """One axis of a transposed convolution.

    Output `o` is place `r` of step `q`, where `o + pad = q * stride + r`, and reads the inputs `q - j` with the taps
    `r + j * stride`: at every place the same `taps` inputs, with weights of its own.
    """

    out: int
    kernel: int
    stride: int
    pad: int

    @property
    def taps(self) -> int:
        """Inputs that an output reads."""
        return -(-self.kernel // self.stride)

    @property
    def skipped(self) -> int:
        """Steps before the first output."""
        return min(self.pad // self.stride, self.taps - 1)

    @property
    def cut(self) -> int:
        """Places of the first step before the first output."""
        return self.pad - self.skipped * self.stride

    @property
    def steps(self) -> int:
        """Steps that have outputs."""
        return -(-(self.out + self.cut) // self.stride)

    def select(self, weights: np.ndarray, axis: int) -> np.ndarray:
        """Split `axis` of the weights into (places, taps), the taps in the order of the inputs."""
        wide = [(0, 0)] * weights.ndim
        wide[axis] = (0, self.taps * self.stride - weights.shape[axis])
        padded = np.pad(weights, wide)
        split = padded.reshape(*padded.shape[:axis], self.taps, self.stride, *padded.shape[axis + 1 :])
        return np.flip(split, axis).swapaxes(axis, axis + 1)


def transposed_convolution(low: Lowering, node: Node) -> bool:
    """Lower ConvTranspose with constant weights over one or two axes."""
    weights, bias = const_value(node.inputs[1]), const_value(node.inputs[2] if len(node.inputs) > 2 else None)
    axes = _axes(node)
    if axes is None or weights is None or weights.dtype != np.float32:
        return False
    rows, columns = axes
    n, c, h, w = image_axes(low.shape(node.outputs[0]))
    algorithm = choose(_problem(node, axes), low.target)
    between = Image(n, rows.steps, columns.steps, rows.stride * columns.stride * c)
    source = low.image(node.inputs[0], algorithm.border)
    product = algorithm.kernel(source.layout, between, ())
    packed = (
        low.packed(product.args[1], lambda: product.pack_weights(_filters(node, weights, axes))),
        low.constant(product.pack_bias(None if bias is None else np.tile(bias, rows.stride * columns.stride))),
    )
    middle = low.buffer(between.spec)
    low.call(product, (source.buffer, *packed, middle), node)
    after = epilogue(low, node.outputs[0], Image(n, h, w, c))
    sink = Image(n, h, w, c, low.border(after.value))
    spread = Interleave(between, sink, rows.stride, columns.stride, "places", rows.cut, columns.cut, after.steps)
    low.call(spread, (middle, *after.operands, low.define(after.value, sink)), node)
    return True


def transposed_border(node: Node, value: Value, target: Target) -> int:
    """Return the border that a transposed convolution asks of its image."""
    axes = _axes(node)
    return choose(_problem(node, axes), target).border if axes is not None and value is node.inputs[0] else 0


def _axes(node: Node) -> tuple[_Axis, _Axis] | None:
    """Return rows and columns, None where shapes are not known or there are more axes."""
    source, weights, sink = (static_shape(v) for v in (*node.inputs[:2], node.outputs[0]))
    if weights is None or source is None or sink is None or len(weights) not in (3, 4):
        return None
    rank = len(weights) - 2
    strides, dilations = (attribute(node, name, [1] * rank) for name in ("strides", "dilations"))
    kernel = [(k - 1) * d + 1 for k, d in zip(weights[2:], dilations, strict=True)]
    extra = attribute(node, "output_padding", [0] * rank)
    full = [(x - 1) * s + k + e for x, s, k, e in zip(source[2:], strides, kernel, extra, strict=True)]
    total = [f - out for f, out in zip(full, sink[2:], strict=True)]
    pads = _before(node, total)
    found = [_Axis(*axis) for axis in zip(sink[2:], kernel, strides, pads, strict=True)]
    return (_Axis(1, 1, 1, 0), found[0]) if rank == 1 else (found[0], found[1])


def _before(node: Node, total: list[int]) -> list[int]:
    """Return the padding at the beginning of every axis, of which `total` is left out at both ends together."""
    mode = attribute(node, "auto_pad", "NOTSET")
    if mode == "NOTSET" and attribute(node, "output_shape", None) is None:
        return list(attribute(node, "pads", [0] * 2 * len(total))[: len(total)])
    cut = [max(t, 0) for t in total]  # what lies beyond the full output is added at the end
    return [t - t // 2 if mode == "SAME_LOWER" else t // 2 for t in cut]


def _problem(node: Node, axes: tuple[_Axis, _Axis]) -> Problem:
    rows, columns = axes
    n, inputs, h, w = image_axes(static_shape(node.inputs[0]) or ())
    outputs = (static_shape(node.outputs[0]) or ())[1]
    top, left = (axis.taps - 1 - axis.skipped for axis in axes)
    window = Window(rows.taps, columns.taps, top=top, left=left)
    return Problem(n, (h, w), (rows.steps, columns.steps), inputs, rows.stride * columns.stride * outputs, window)


def _filters(node: Node, weights: np.ndarray, axes: tuple[_Axis, _Axis]) -> np.ndarray:
    """Return `[rows, columns and channels of the outputs, ci, taps, taps]`, zero between groups, flat before `ci`."""
    groups, (ci, co) = attribute(node, "group", 1), weights.shape[:2]
    kernel = weights.shape[2:] if weights.ndim == 4 else (1, weights.shape[2])
    dilations = [1, *attribute(node, "dilations", [1] * (weights.ndim - 2))][-2:]
    dense = np.zeros((groups, co, ci, axes[0].kernel, axes[1].kernel), np.float32)
    for group, part in enumerate(np.split(weights.reshape(ci, co, *kernel), groups)):
        own = slice(group * ci // groups, (group + 1) * ci // groups)
        dense[group, :, own, :: dilations[0], :: dilations[1]] = part.swapaxes(0, 1)
    whole = dense.reshape(groups * co, ci, *dense.shape[3:])
    split = axes[1].select(axes[0].select(whole, 2), 4)  # co, ci, row places, row taps, column places, column taps
    return split.transpose(2, 4, 0, 1, 3, 5).reshape(-1, ci, axes[0].taps, axes[1].taps)
