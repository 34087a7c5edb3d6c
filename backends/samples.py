"""Values to time a kernel with."""

import numpy as np

from galen.backends.kernels.base import Spec


def samples(spec: Spec) -> np.ndarray:
    """Return small values, not negative, the same every time: times must not depend on chance."""
    values = np.arange(int(np.prod(spec.shape))) % 5
    return (values / 4 if np.dtype(spec.dtype).kind == "f" else values).astype(spec.dtype).reshape(spec.shape)
