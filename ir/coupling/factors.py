"""How a reshape maps axes: a refinement of both shapes into common factors.

`[8, 12] -> [8, 3, 4]` keeps 8 and splits 12 = 3 x 4; `[64, 7, 7] -> [32, 98]` refines both sides to 32, 2, 7, 7.
"""

from dataclasses import dataclass

from galen.ir.coupling.operands import Dims

REST = -1
"""Stands for an axis of unknown length that takes in a factor of one of known length."""


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

    Where unknown lengths stop the match, one more axis may still split: `[?, 64] -> [?, 16]` refines 64 to 4 x 16, of
    which 4 goes into the unknown. Axes of length 1 and axes that are in no common refinement are in no block.
    """
    ins = [(axis, dim) for axis, dim in enumerate(before) if dim != 1]
    outs = [(axis, dim) for axis, dim in enumerate(after) if dim != 1]
    blocks = []
    for step in (1, -1):
        found, ins, outs = _match(ins[::step], outs[::step])
        found += _split(ins, outs)
        blocks += [_block(i[::step], o[::step]) for i, o in found]
        taken = {axis for i, _ in found for axis, _ in i}
        ins = [item for item in ins if item[0] not in taken][::step]
        taken = {axis for _, o in found for axis, _ in o}
        outs = [item for item in outs if item[0] not in taken][::step]
    return blocks


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


def _split(ins: _Axes, outs: _Axes) -> list[tuple[_Axes, _Axes]]:
    """Return the leading axis of one side with the leading axes of the other that divide it before an unknown."""
    for longer, shorter, swap in ((ins, outs, False), (outs, ins, True)):
        whole = longer[0][1] if longer else None
        if not isinstance(whole, int):
            continue
        rest, taken = whole, 0
        while taken < len(shorter) and isinstance(dim := shorter[taken][1], int) and dim and rest % dim == 0:
            rest, taken = rest // dim, taken + 1
        if taken and rest > 1 and taken < len(shorter) and not isinstance(shorter[taken][1], int):
            parts: _Axes = [*shorter[:taken], (REST, rest)]
            return [(parts, longer[:1]) if swap else (longer[:1], parts)]
    return []


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
