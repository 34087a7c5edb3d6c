"""Experience: raw states, so that they are standardised with the statistics of the moment they are replayed."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class Batch(NamedTuple):
    """Transitions: states `[n, s]` (standardised), actions `[n, a]`, rewards, next states, and whether there is one."""

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_states: np.ndarray
    live: np.ndarray


@dataclass
class Replay:
    """The last `capacity` transitions, in the order they came."""

    capacity: int
    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_states: np.ndarray
    live: np.ndarray
    _moments: tuple[np.ndarray, np.ndarray] | None = None

    @classmethod
    def empty(cls, capacity: int, features: int, actions: int) -> "Replay":
        """Return a replay without transitions."""
        wide = np.zeros((0, features), np.float64)
        return cls(capacity, wide, np.zeros((0, actions)), np.zeros(0), wide, np.zeros(0))

    def __len__(self) -> int:
        return len(self.rewards)

    def extend(self, states: np.ndarray, actions: np.ndarray, rewards: np.ndarray) -> None:
        """Append a whole episode: states `[n, s]` (NaN: unsupported), actions `[n, a]`, rewards `[n]`."""
        following = np.concatenate([states[1:], states[-1:]])
        live = np.ones(len(states))
        live[-1] = 0
        last = slice(-self.capacity, None)
        self.states = np.concatenate([self.states, states])[last]
        self.actions = np.concatenate([self.actions, actions])[last]
        self.rewards = np.concatenate([self.rewards, rewards])[last]
        self.next_states = np.concatenate([self.next_states, following])[last]
        self.live = np.concatenate([self.live, live])[last]
        self._moments = None

    def standardise(self, states: np.ndarray) -> np.ndarray:
        """Return states with mean 0 and deviation 1 over the replay, float32; what is unsupported becomes 0."""
        if self._moments is None:
            self._moments = _moments(self.states if len(self) else states)
        mean, deviation = self._moments
        return np.asarray(np.nan_to_num((states - mean) / deviation, nan=0.0), dtype=np.float32)

    def sample(self, count: int, generator: np.random.Generator) -> Batch:
        """Return `count` transitions drawn uniformly, rewards standardised over the replay."""
        return self._batch(generator.integers(len(self), size=count))

    def elite(self, count: int, share: float, generator: np.random.Generator) -> Batch:
        """Return `count` transitions drawn from the `share` with the highest rewards."""
        best = np.flatnonzero(self.rewards >= np.quantile(self.rewards, 1 - share))
        return self._batch(best[generator.integers(len(best), size=count)])

    def _batch(self, rows: np.ndarray) -> Batch:
        rewards = (self.rewards[rows] - self.rewards.mean()) / max(float(self.rewards.std()), 1e-6)
        return Batch(
            self.standardise(self.states[rows]),
            self.actions[rows].astype(np.float32),
            rewards.astype(np.float32),
            self.standardise(self.next_states[rows]),
            self.live[rows].astype(np.float32),
        )

    def state(self) -> dict[str, Any]:
        """Return the arrays."""
        return {name: getattr(self, name) for name in Batch._fields}

    def load(self, state: dict[str, Any]) -> None:
        """Take over the arrays that `state` returned."""
        for name in Batch._fields:
            setattr(self, name, state[name])
        self._moments = None


def _moments(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation per feature over what is known; 0 and 1 where nothing is, or nothing varies."""
    known = ~np.isnan(np.atleast_2d(states))
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, states, 0).sum(0) / count
    deviation = np.sqrt((np.where(known, states - mean, 0) ** 2).sum(0) / count)
    return mean, np.where(deviation > 1e-12, deviation, 1)
