"""How the axes of ONNX tensors map to those of kernels."""

from collections.abc import Iterable, Sequence
from math import prod
from typing import TypeVar

VOLUME = 5
"""Axes of a volume: batch, channels, slices, rows and columns."""
Kind = TypeVar("Kind")
"""What may be said of an axis."""


def rows_of(shape: Sequence[int]) -> tuple[int, int]:
    """Return a dense shape as (rows, columns): all axes but the last are rows."""
    columns = shape[-1] if shape else 1
    return prod(shape[:-1]), columns


def image_axes(shape: Sequence[int], absent: int = 1) -> tuple[int, int, int, int]:
    """Return (n, c, h, w) of `[n, c, h, w]`, or of `[n, c, w]` with `absent` for h: 1 for extents, 0 for positions.

    The slices of a volume `[n, c, d, h, w]` are images, `n * d` of them.
    """
    if len(shape) == 3:
        return shape[0], shape[1], absent, shape[2]
    if len(shape) == VOLUME:
        n, c, d, h, w = shape
        return n * d, c, h, w
    n, c, h, w = shape
    return n, c, h, w


def join(axes: Iterable[tuple[int, Kind]]) -> list[tuple[int, Kind]]:
    """Join neighbouring axes `(extent, kind)` of one kind; those of extent 1 vanish."""
    joined: list[tuple[int, Kind]] = []
    for extent, kind in axes:
        if extent == 1:
            continue
        if joined and joined[-1][1] == kind:
            joined[-1] = joined[-1][0] * extent, kind
        else:
            joined.append((extent, kind))
    return joined
