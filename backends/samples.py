"""Values to time a kernel with."""

import numpy as np

from galen.backends.kernels.base import Places, Spec

_PIXEL = 2
"""Bytes of the widest integers that are data; wider ones may be places along an axis, of which only 0 surely exists."""


def samples(spec: Spec) -> np.ndarray:
    """Return small values, not negative, the same every time: times must not depend on chance."""
    dtype = np.dtype(spec.dtype)
    counted = np.arange(int(np.prod(spec.shape)))
    if isinstance(spec, Places):
        values = counted % spec.extent
    elif dtype.kind == "i" and dtype.itemsize > _PIXEL:
        values = counted * 0
    else:
        values = counted % 5 / 4 if dtype.kind == "f" else counted % 5
    return values.astype(dtype).reshape(spec.shape)
