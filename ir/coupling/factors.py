"""How a reshape maps axes: a refinement of both shapes into common factors.

`[8, 12] -> [8, 3, 4]` keeps 8 and splits 12 = 3 x 4; `[64, 7, 7] -> [32, 98]` refines both sides to 32, 2, 7, 7.
"""

from dataclasses import dataclass

from galen.ir.coupling.axes import Dims


@dataclass(frozen=True)
class Block:
    """Axes of the input and of the output that hold the same elements in the same order, as products of `sizes`.

    Attributes:
        sizes: the common factors, row-major.
        inputs, outputs: (axis, positions in `sizes` of its factors).
    """

    sizes: tuple[int, ...]
    inputs: tuple[tuple[int, tuple[int, ...]], ...]
    outputs: tuple[tuple[int, tuple[int, ...]], ...]


def refine(before: Dims, after: Dims) -> list[Block]:
    """Return the blocks of a reshape, matched from the left and from the right up to lengths that are not known.

    Axes of length 1 and axes that are in no common refinement are in no block.
    """
    ins = [(axis, dim) for axis, dim in enumerate(before) if dim != 1]
    outs = [(axis, dim) for axis, dim in enumerate(after) if dim != 1]
    left, ins, outs = _match(ins, outs)
    right, _, _ = _match(ins[::-1], outs[::-1])
    return [_block(i, o) for i, o in left] + [_block(i[::-1], o[::-1]) for i, o in right]


_Axes = list[tuple[int, int | str | None]]


def _match(ins: _Axes, outs: _Axes) -> tuple[list[tuple[_Axes, _Axes]], _Axes, _Axes]:
    """Split off leading runs of equal product; return them and what is left of both sides."""
    found = []
    while (counts := _run(ins, outs)) is not None:
        found.append((ins[: counts[0]], outs[: counts[1]]))
        ins, outs = ins[counts[0] :], outs[counts[1] :]
    return found, ins, outs


def _run(ins: _Axes, outs: _Axes) -> tuple[int, int] | None:
    """Return how many leading axes of both sides have the same product, None when that cannot be told."""
    if not ins or not outs:
        return None
    if ins[0][1] == outs[0][1] and ins[0][1] is not None:
        return 1, 1
    i, o, a, b = 0, 0, 1, 1
    while a != b or i == 0:
        side, at = (ins, i) if a <= b else (outs, o)
        dim = side[at][1] if at < len(side) else None
        if not isinstance(dim, int) or dim == 0:
            return None
        if a <= b:
            a, i = a * dim, i + 1
        else:
            b, o = b * dim, o + 1
    return i, o


def _block(ins: _Axes, outs: _Axes) -> Block:
    if isinstance(ins[0][1], str):
        return Block((), (), ())
    bounds = sorted(set(_bounds(ins)) | set(_bounds(outs)))
    steps = list(zip([1, *bounds], bounds, strict=False))
    if any(high % low for low, high in steps):
        return Block((), (), ())
    place = {bound: len(bounds) - 1 - index for index, bound in enumerate(bounds)}
    sizes = tuple(high // low for low, high in reversed(steps))
    return Block(sizes, _positions(ins, place), _positions(outs, place))


def _bounds(axes: _Axes) -> list[int]:
    """Return the products of the trailing axes: one for the last axis, two for the last two ..., innermost first."""
    products, product = [], 1
    for _, dim in reversed(axes):
        product *= int(dim or 1)
        products.append(product)
    return products


def _positions(axes: _Axes, place: dict[int, int]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    starts = [place[bound] for bound in reversed(_bounds(axes))]
    ends = [*starts[1:], len(place)]
    return tuple((axis, tuple(range(a, b))) for (axis, _), a, b in zip(axes, starts, ends, strict=True))
