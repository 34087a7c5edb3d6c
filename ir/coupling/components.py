"""Connected components of tied ids.

Most ties join whole axes. They are settled axis by axis; only the others are looked at id by id.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from galen.ir.coupling.axes import Ids, Slot


def components(slots: Iterable[Slot], ties: Sequence[tuple[Ids, Ids]]) -> Ids:
    """Return the number of the component that every id of `slots`, in order, belongs to."""
    slots = list(slots)
    number = {id(slot.ids): index for index, slot in enumerate(slots)}
    pairs = [(number.get(id(a)), number.get(id(b))) for a, b in ties]
    whole = [pair for pair in pairs if None not in pair]
    part = [tie for tie, pair in zip(ties, pairs, strict=True) if None in pair]
    merged = _connected(len(slots), *np.array(whole, np.int64).reshape(-1, 2).T)
    place, count = _shared_places(merged, np.array([slot.size for slot in slots], np.int64))
    if not part:
        return place
    left, right = (place[np.concatenate([pair[side] for pair in part])] for side in (0, 1))
    return np.asarray(_connected(count, left, right)[place], np.int64)


def _shared_places(merged: Ids, sizes: Ids) -> tuple[Ids, int]:
    """Number the ids of axes anew, so that merged axes share their numbers; return also how many there are."""
    length = np.zeros(int(merged.max(initial=-1)) + 1, np.int64)
    length[merged] = sizes
    shift = (np.cumsum(length) - length)[merged] - (np.cumsum(sizes) - sizes)
    return np.arange(sizes.sum()) + np.repeat(shift, sizes), int(length.sum())


def any_of(label: Ids, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return per component whether any of its ids is flagged."""
    result = np.zeros(int(label.max(initial=-1)) + 1, bool)
    result[label[flags]] = True
    return result


def _connected(size: int, a: Ids, b: Ids) -> Ids:
    """Return the component of each of `size` nodes, numbered from 0; edges join `a[i]` and `b[i]`.

    Roots are hooked onto smaller ones and paths shortened until no edge joins two trees (Shiloach and Vishkin 1982).
    """
    root = np.arange(size)
    while (apart := root[a] != root[b]).any():
        a, b = a[apart], b[apart]
        low = np.minimum(root[a], root[b])
        np.minimum.at(root, np.concatenate([root[a], root[b]]), np.concatenate([low, low]))
        while not np.array_equal(above := root[root], root):
            root = above
    number = np.cumsum(root == np.arange(size)) - 1
    return np.asarray(number[root], np.int64)
