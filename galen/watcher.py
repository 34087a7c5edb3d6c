"""Who wants to know how a search goes on: the terminal, a notebook, nobody."""

from typing import Protocol

from galen.agents.goal import Goal
from galen.journal import Episode
from galen.options import SearchOptions


class SearchWatcher(Protocol):
    """Is told what happens; returns nothing and changes nothing."""

    def phase(self, name: str) -> None:
        """A part of the search begins: `load`, `baseline`, `sensitivity`, `episodes`, `fine-tune`, `build`."""

    def ready(self, options: SearchOptions, goal: Goal, done: int) -> None:
        """The set-up is over; `done` episodes are known from earlier runs."""

    def episode(self, episode: Episode, best: Episode) -> None:
        """An episode ended; `best` is the best one so far."""

    def training(self, step: int, steps: int) -> None:
        """A step of fine-tuning ended."""


class Silent:
    """Watches nothing."""

    def phase(self, name: str) -> None:
        """Ignore it."""

    def ready(self, options: SearchOptions, goal: Goal, done: int) -> None:
        """Ignore it."""

    def episode(self, episode: Episode, best: Episode) -> None:
        """Ignore it."""

    def training(self, step: int, steps: int) -> None:
        """Ignore it."""
