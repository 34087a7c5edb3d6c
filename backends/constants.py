"""Packed weights that are made when someone reads them: a latency needs their shapes only."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

Make = Callable[[], np.ndarray]


class Constants(Mapping[int, np.ndarray]):
    """Arrays by buffer index, made when they are asked for and not kept: they may be larger than the model."""

    def __init__(self, makers: Mapping[int, Make]) -> None:
        self._makers = dict(makers)

    def __getitem__(self, buffer: int) -> np.ndarray:
        """Return the array of `buffer`."""
        return np.asarray(self._makers[buffer](), order="C")

    def __contains__(self, buffer: object) -> bool:
        """Return whether `buffer` is constant, without making it."""
        return buffer in self._makers

    def __iter__(self) -> Iterator[int]:
        """Iterate over the buffers."""
        return iter(self._makers)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._makers)
