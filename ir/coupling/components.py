"""Connected components of tied ids."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from galen.ir.coupling.axes import NONE, Ids


def components(size: int, ties: Sequence[tuple[Ids, Ids]]) -> Ids:
    """Return the number of the component that every one of `size` ids belongs to, `[size]`."""
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    a = np.concatenate([NONE, *(pair[0] for pair in ties)])
    b = np.concatenate([NONE, *(pair[1] for pair in ties)])
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def any_of(label: Ids, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return per component whether any of its ids is flagged."""
    result = np.zeros(int(label.max(initial=-1)) + 1, bool)
    result[label[flags]] = True
    return result
