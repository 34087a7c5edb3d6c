"""The border of an image: whoever writes an image writes it too."""

from typing import Any

from galen.backends.kernels.base import Image, Slice
from galen.backends.kernels.emit import Emitter, Expr, pieces


def clear_border(e: Emitter, image: Image, buffer: Any, zero: Expr | None = None) -> None:
    """Write `zero` (a scalar of the image's type, by default 0) into every border pixel of `image`.

    In memory the right border of a row and the left border of the next are neighbours, so there are three runs per
    image: what lies before the first pixel, `h - 1` gaps, and what lies after the last.
    """
    zero = e.zero(image.dtype) if zero is None else zero
    b, row = image.border, image.w + 2 * image.border
    if b == 0 or isinstance(image, Slice):
        return
    size = (image.h + 2 * b) * row * image.channels
    flat = e.flat(buffer, image.n * size)
    edge = (b * row + b) * image.channels
    with e.loop(image.n) as n:
        fill(e, flat, n * size, edge, zero)
        with e.loop(image.h - 1) as y:
            fill(e, flat, n * size + edge + (y * row + image.w) * image.channels, 2 * b * image.channels, zero)
        fill(e, flat, n * size + size - edge, edge, zero)


def fill(e: Emitter, flat: Any, start: Expr, count: int, value: Expr) -> None:
    """Write `count` elements equal to `value` from index `start` of a buffer with one axis."""
    vector = e.lanes_of(flat.dtype)
    unit = vector * 8
    whole = count // unit * unit
    if whole:
        with e.loop(count // unit) as block:
            for at in range(0, unit, vector):
                e.store(flat, e.splat(value, vector), start + block * unit + at, lanes=vector)
    for at, lanes in pieces(count - whole, vector):
        e.store(flat, e.splat(value, lanes), start + whole + at, lanes=lanes)
