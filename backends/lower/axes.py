"""How the axes of ONNX tensors map to those of kernels."""

from collections.abc import Sequence
from math import prod


def rows_of(shape: Sequence[int]) -> tuple[int, int]:
    """Return a dense shape as (rows, columns): all axes but the last are rows."""
    columns = shape[-1] if shape else 1
    return prod(shape[:-1]), columns


def image_axes(shape: Sequence[int], absent: int = 1) -> tuple[int, int, int, int]:
    """Return (n, c, h, w) of `[n, c, h, w]`, or of `[n, c, w]` with `absent` for h: 1 for extents, 0 for positions."""
    if len(shape) == 3:
        return shape[0], shape[1], absent, shape[2]
    n, c, h, w = shape
    return n, c, h, w
