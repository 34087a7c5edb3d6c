"""Samples that are read when they are asked for."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from galen.ir.samples import Batch


@dataclass(frozen=True)
class Dataset:
    """Samples that are made on demand, so that memory does not grow with their number.

    Attributes:
        read: returns the model's inputs for an array of sample numbers.
        labels: one integer per sample, or None.
        size: number of samples.
    """

    read: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    labels: np.ndarray | None
    size: int

    def __len__(self) -> int:
        return self.size

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all samples in order, `size` at a time."""
        for start in range(0, self.size, size):
            yield self.at(np.arange(start, min(start + size, self.size)))

    def take(self, count: int) -> "Dataset":
        """Return the first `count` samples (all of them when there are fewer)."""
        return dataclasses.replace(self, size=min(count, self.size))

    def at(self, indices: np.ndarray) -> Batch:
        """Return the samples of these positions, in this order."""
        return Batch(self.read(indices), None if self.labels is None else self.labels[indices])


def from_arrays(arrays: Mapping[str, np.ndarray], labels: np.ndarray | None, size: int) -> Dataset:
    """Return the data set of arrays in memory, one per model input; first axis: sample."""
    return Dataset(lambda indices: {name: array[indices] for name, array in arrays.items()}, labels, size)
