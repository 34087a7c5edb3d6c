"""The seam through which passes, agents and evaluators read data: batches of model inputs, with labels or without."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import numpy as np


class Batch(NamedTuple):
    """Some samples: one array per model input (first axis: sample), and integer labels `[n]` when there are any."""

    inputs: Mapping[str, np.ndarray]
    labels: np.ndarray | None


class Samples(Protocol):
    """A data set of known length that is read in batches, the same ones in the same order every time."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all samples in order, `size` at a time (the last batch may be smaller)."""
        ...

    def take(self, count: int) -> "Samples":
        """Return the first `count` samples (all of them when there are fewer)."""
        ...

    def at(self, indices: np.ndarray) -> Batch:
        """Return the samples of these positions, in this order: what training in random order reads."""
        ...
