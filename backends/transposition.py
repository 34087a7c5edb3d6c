"""The geometry of ConvTranspose: every output reads few inputs, and which taps of the kernel depends on its place.

Along an axis output `o` is place `r` of step `q`, where `o + pad = q * stride + r`, and reads the inputs `q - j` with
the taps `r + j * stride`: at every place the same `taps` inputs, with weights of its own. So all places of a step are
channels of one convolution of stride 1, and then become pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from galen.backends.kernels.window import Window
from galen.ir import Node
from galen.ir.edit import attribute


@dataclass(frozen=True)
class Axis:
    """One axis of a transposed convolution.

    Attributes:
        out: extent of the output.
        kernel: extent of the kernel, dilated.
        pad: outputs that are left out at the beginning.
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


def axes_of(node: Node, source: Sequence[int], kernel: Sequence[int]) -> tuple[Axis, ...]:
    """Return the axes of ConvTranspose for an input of `source` pixels and a `kernel` of so many taps."""
    rank = len(kernel)
    strides, dilations = (attribute(node, name, [1] * rank) for name in ("strides", "dilations"))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    extra = attribute(node, "output_padding", [0] * rank)
    full = [(x - 1) * s + k + e for x, s, k, e in zip(source, strides, spans, extra, strict=True)]
    begin, out = _cut(node, full, [x * s for x, s in zip(source, strides, strict=True)])
    return tuple(Axis(*axis) for axis in zip(out, spans, strides, begin, strict=True))


def _cut(node: Node, full: list[int], same: list[int]) -> tuple[list[int], list[int]]:
    """Return what is left out at the beginning of every axis, and what remains of `full` outputs."""
    rank, mode = len(full), attribute(node, "auto_pad", "NOTSET")
    asked = attribute(node, "output_shape", None)
    if asked is None and not mode.startswith("SAME"):
        pads = attribute(node, "pads", [0] * 2 * rank) if mode == "NOTSET" else [0] * 2 * rank
        return pads[:rank], [f - a - b for f, a, b in zip(full, pads[:rank], pads[rank:], strict=True)]
    out = [min(f, s) for f, s in zip(full, same, strict=True)] if asked is None else asked[-rank:]
    total = [max(f - o, 0) for f, o in zip(full, out, strict=True)]  # what lies beyond is added at the end
    return [t // 2 if mode == "SAME_UPPER" else t - t // 2 for t in total], list(out)


def window(axes: Sequence[Axis]) -> Window:
    """Return the window of the convolution that computes all places, of rows and columns."""
    top, left = (axis.taps - 1 - axis.skipped for axis in axes)
    return Window(axes[0].taps, axes[1].taps, top=top, left=left)


def filters(node: Node, weights: np.ndarray, axes: Sequence[Axis]) -> np.ndarray:
    """Return the weights of that convolution `[rows, columns and channels of the outputs, ci, taps, taps]`.

    They are zero between groups, and flat before `ci`.

    Args:
        node: the ConvTranspose.
        weights: `[ci, co / groups, kernel…]` over one or two axes.
        axes: rows and columns.
    """
    groups, (ci, co) = attribute(node, "group", 1), weights.shape[:2]
    kernel = weights.shape[2:] if weights.ndim == 4 else (1, weights.shape[2])
    dilations = [1, *attribute(node, "dilations", [1] * (weights.ndim - 2))][-2:]
    dense = np.zeros((groups, co, ci, axes[0].kernel, axes[1].kernel), weights.dtype)
    for group, part in enumerate(np.split(weights.reshape(ci, co, *kernel), groups)):
        own = slice(group * ci // groups, (group + 1) * ci // groups)
        dense[group, :, own, :: dilations[0], :: dilations[1]] = part.swapaxes(0, 1)
    whole = dense.reshape(groups * co, ci, *dense.shape[3:])
    split = axes[1].select(axes[0].select(whole, 2), 4)  # co, ci, row places, row taps, column places, column taps
    return split.transpose(2, 4, 0, 1, 3, 5).reshape(-1, ci, axes[0].taps, axes[1].taps)
