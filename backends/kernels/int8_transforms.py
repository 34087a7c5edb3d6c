"""The transforms of integer Winograd F(4x4, 3x3): the matrices of Lavin and Gray (2016), section 4.2, in integers."""

from collections.abc import Sequence

import numpy as np

from galen.backends.kernels.emit import Emitter, Expr

SIDE, POINTS = 4, 6
G_DOWN = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], np.int64)
"""Weight transform along columns: G times 24."""
G_ALONG = np.array([[6, 0, 0], [-2, -2, -2], [-2, 2, -2], [1, 2, 4], [1, -2, 4], [0, 0, 8]], np.int64)
"""Along rows: G times 24, less the factors 1, 2, 2, 1, 1, 3 that would not fit int16; `along` has them."""

_NINTH = 0x38E38E39
"""9 * _NINTH = 1 modulo 2^32."""


def forward(e: Emitter, d: Sequence[Expr]) -> list[Expr]:
    """Multiply by B^T."""
    two, four, five = (constant(e, k, "int16x8") for k in (2, 4, 5))
    a, b = e.let(d[4] - four * d[2]), e.let(d[3] - four * d[1])
    c, f = e.let(d[4] - d[2]), e.let((d[3] - d[1]) * two)
    ends = (four * d[0] + d[4] - five * d[2], four * d[1] + d[5] - five * d[3])
    return [e.let(v) for v in (ends[0], a + b, a - b, c + f, c - f, ends[1])]


def down(e: Emitter, m: Sequence[Expr]) -> list[Expr]:
    """Multiply by A^T."""
    k = {i: constant(e, i, "int32x4") for i in (2, 4, 8)}
    p, q, r, s = (e.let(v) for v in (m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]))
    return [e.let(v) for v in (m[0] + p + r, q + k[2] * s, p + k[4] * r, q + k[8] * s + m[5])]


def along(e: Emitter, m: Sequence[Expr]) -> list[Expr]:
    """Multiply by A^T with the factors that `G_ALONG` lacks, and by the inverse of 9."""
    two, four = (constant(e, i, "int32x4") for i in (2, 4))
    once, twice = (constant(e, i, "int32x4") for i in (_NINTH, 2 * _NINTH))
    p, q, r, s = (e.let(v) for v in (m[1] + m[2], m[1] - m[2], m[3] + m[4], m[3] - m[4]))
    last = (q + four * s + m[5]) * two + m[5]
    return [e.let(v) for v in ((m[0] + two * p + r) * once, (q + s) * twice, (p + two * r) * twice, last * once)]


def constant(e: Emitter, value: int, dtype: str) -> Expr:
    """Return an integer in all lanes of a vector type such as `int32x4`."""
    scalar, lanes = dtype.split("x")
    return e.T.broadcast(e.T.IntImm(scalar, value), int(lanes))
