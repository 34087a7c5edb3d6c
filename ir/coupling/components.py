"""Connected components of tied ids.

Most ties join whole axes. They are settled axis by axis; only the others are looked at id by id.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from galen.ir.coupling.axes import NONE, Ids, Slot


def components(slots: Iterable[Slot], ties: Sequence[tuple[Ids, Ids]]) -> Ids:
    """Return the number of the component that every id of `slots`, in order, belongs to."""
    slots = list(slots)
    number = {id(slot.ids): index for index, slot in enumerate(slots)}
    whole, part = [], []
    for a, b in ties:
        pair = number.get(id(a)), number.get(id(b))
        (part if None in pair else whole).append((a, b) if None in pair else pair)
    merged = _connected(len(slots), np.array(whole, np.int64).reshape(-1, 2).T)
    sizes = np.array([slot.size for slot in slots], np.int64)
    length = np.zeros(int(merged.max(initial=-1)) + 1, np.int64)
    length[merged] = sizes
    shift = (np.cumsum(length) - length)[merged] - (np.cumsum(sizes) - sizes)
    place = np.arange(sizes.sum()) + np.repeat(shift, sizes)
    edges = [place[np.concatenate([NONE, *side])] for side in zip(*part, strict=True)] or [NONE, NONE]
    return _connected(int(length.sum()), edges)[place]


def any_of(label: Ids, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return per component whether any of its ids is flagged."""
    result = np.zeros(int(label.max(initial=-1)) + 1, bool)
    result[label[flags]] = True
    return result


def _connected(size: int, edges: Sequence[Ids] | NDArray[np.int64]) -> Ids:
    """Return the component of each of `size` nodes, numbered from 0.

    Roots are hooked onto smaller ones and paths shortened until no edge joins two trees (Shiloach and Vishkin 1982).
    """
    root = np.arange(size)
    a, b = edges
    while (open_ := root[a] != root[b]).any():
        a, b = a[open_], b[open_]
        low = np.minimum(root[a], root[b])
        np.minimum.at(root, np.concatenate([root[a], root[b]]), np.concatenate([low, low]))
        while (above := root[root]).tobytes() != root.tobytes():
            root = above
    numbers = np.cumsum(root == np.arange(size)) - 1
    return numbers[root]
