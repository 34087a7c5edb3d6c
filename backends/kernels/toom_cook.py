"""The matrices of Winograd's minimal filtering F(m, r), by Toom-Cook interpolation.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016), section 4; construction after Blahut,
"Fast algorithms for signal processing" (2010), section 5.
"""

from fractions import Fraction
from functools import cache
from math import prod

import numpy as np

POINTS = (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2))
"""Finite interpolation points in order of preference; infinity is always the last."""


@cache
def matrices(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `A^T [m, a]`, `G [a, r]` and `B^T [a, a]` with `a = m + r - 1`.

    `A^T ((G g) * (B^T d))` are the `m` outputs of correlating `d [a]` with the filter `g [r]`.
    """
    points = [Fraction(p) for p in POINTS[: m + r - 2]]
    size = len(points) + 1
    at, g, bt = (np.zeros(shape, object) for shape in ((m, size), (size, r), (size, size)))
    for j, p in enumerate(points):
        others = [q for q in points if q != p]
        scale = prod((p - q for q in others), start=Fraction(1))
        at[:, j] = [p**i for i in range(m)]
        g[j] = [p**k / scale for k in range(r)]
        bt[j, :-1] = _polynomial(others)
    at[-1, -1] = g[-1, -1] = 1
    bt[-1] = _polynomial(points)
    return at.astype(np.float64), g.astype(np.float64), bt.astype(np.float64)


@cache
def strided(m: int, r: int, stride: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `A^T`, `G` and `B^T` for every `stride`-th output of the same correlation, of which there are `m`.

    The outputs are sums over phases `p`: the taps `p, p + stride, ...` meet only inputs of the same phase. Each is
    a filter of its own with stride 1, and their products stand side by side.
    """
    if stride == 1:
        return matrices(m, r)
    size = (m - 1) * stride + r
    at, g, bt = [], [], []
    for phase in range(stride):
        taps, inputs = range(phase, r, stride), range(phase, size, stride)
        part_at, part_g, part_bt = matrices(m, len(taps))
        at.append(part_at)
        g.append(part_g @ np.eye(r)[taps])
        bt.append(part_bt @ np.eye(size)[list(inputs)[: part_bt.shape[1]]])
    return np.hstack(at), np.vstack(g), np.vstack(bt)


def _polynomial(roots: list[Fraction]) -> list[Fraction]:
    """Return the coefficients of the product of (x - root), lowest power first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        scaled = [*(-root * c for c in coefficients), Fraction(0)]
        coefficients = [a + b for a, b in zip(shifted, scaled, strict=True)]
    return coefficients
