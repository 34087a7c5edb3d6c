"""Windows over images of integers in numpy: what convolutions and pooling read, and convolution itself."""

from collections.abc import Sequence

import numpy as np

from galen.backends.transposition import axes_of
from galen.ir import Node
from galen.ir.edit import attribute

_CHUNK = 1 << 24
"""Elements of unfolded images that are multiplied at once."""


class Geometry:
    """Strides, dilations and padding (begin of every axis, then end) of a window over an image."""

    def __init__(self, strides: Sequence[int], dilations: Sequence[int], pads: Sequence[int]) -> None:
        self.strides, self.dilations, self.pads = tuple(strides), tuple(dilations), tuple(pads)


def geometry(node: Node, image: Sequence[int], kernel: Sequence[int]) -> Geometry:
    """Read strides, dilations, pads and auto_pad of Conv or a pooling operator."""
    rank = len(kernel)
    strides = attribute(node, "strides", None) or (1,) * rank
    dilations = attribute(node, "dilations", None) or (1,) * rank
    auto = attribute(node, "auto_pad", "NOTSET")
    if not auto.startswith("SAME"):
        return Geometry(strides, dilations, attribute(node, "pads", None) or (0,) * (2 * rank))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    total = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(image, strides, spans, strict=True)]
    small = [t // 2 for t in total]
    large = [t - h for t, h in zip(total, small, strict=True)]
    return Geometry(strides, dilations, (*small, *large) if auto == "SAME_UPPER" else (*large, *small))


def windows(x: np.ndarray, kernel: Sequence[int], where: Geometry) -> np.ndarray:
    """Return a view `[n, c, *out, *kernel]` of `x` padded with zeros."""
    rank = len(kernel)
    padded = np.pad(x, [(0, 0), (0, 0), *zip(where.pads[:rank], where.pads[rank:], strict=True)])
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, where.dilations, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=tuple(range(2, 2 + rank)))
    steps = [slice(None, None, s) for s in (*where.strides, *where.dilations)]
    return view[(slice(None), slice(None), *steps)]


def convolve(x: np.ndarray, w: np.ndarray, where: Geometry, group: int = 1) -> np.ndarray:
    """Return the exact int32 convolution of int32 `x` `[n, c, …]` and `w` `[co, c / group, …]`.

    Products are summed by BLAS in fp32 where no sum can reach 2^24, else in fp64.
    """
    largest = int(np.abs(w).reshape(len(w), -1).sum(axis=1, dtype=np.int64).max(initial=0)) * int(
        np.abs(x).max(initial=0)
    )
    dtype = np.float32 if largest < 2**24 else np.float64
    ci, co = x.shape[1] // group, len(w) // group
    taps = windows(x.astype(dtype), w.shape[2:], where)
    out = np.empty((len(x), len(w), *taps.shape[2 : x.ndim]), np.int32)
    size = max(1, _CHUNK // max(1, int(np.prod(out.shape[2:])) * ci * int(np.prod(w.shape[2:]))))
    inner = tuple(range(x.ndim, taps.ndim))
    for g in range(group):
        kernel = w[g * co : (g + 1) * co].astype(dtype)
        for first in range(0, len(x), size):
            part = taps[first : first + size, g * ci : (g + 1) * ci]
            acc = np.tensordot(part, kernel, ((1, *inner), tuple(range(1, w.ndim))))
            out[first : first + size, g * co : (g + 1) * co] = np.moveaxis(acc, -1, 1)
    return out


def convolve_transposed(x: np.ndarray, w: np.ndarray, node: Node) -> np.ndarray:
    """Return the exact int32 transposed convolution of int32 `x` `[n, ci, …]` and `w` `[ci, co / group, …]`.

    Inputs are spread with zeros between them, and convolved with the mirrored kernel.
    """
    group, axes = attribute(node, "group", 1), axes_of(node, x.shape[2:], w.shape[2:])
    strides = [a.stride for a in axes]
    spread = np.zeros((*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], strides, strict=True))), x.dtype)
    spread[tuple([slice(None)] * 2 + [slice(None, None, s) for s in strides])] = x
    swapped = np.concatenate([part.swapaxes(0, 1) for part in np.split(w, group)])
    mirrored = np.flip(swapped, tuple(range(2, w.ndim)))
    ends = [a.out + a.pad - n for a, n in zip(axes, spread.shape[2:], strict=True)]
    around = [a.kernel - 1 for a in axes]
    dilations = attribute(node, "dilations", [1] * len(axes))
    full = convolve(spread, mirrored, Geometry([1] * len(axes), dilations, (*around, *np.maximum(ends, 0))), group)
    return full[tuple([slice(None)] * 2 + [slice(a.pad, a.pad + a.out) for a in axes])]
