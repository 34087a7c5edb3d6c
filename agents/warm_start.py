"""Begins a searcher's work with what another one proposes, or with policies that are known to be good."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from galen.agents.searcher import Outcome, Searcher
from galen.passes.policy import Policy


@dataclass
class Given:
    """Proposes these policies, in order, again and again."""

    policies: Sequence[Policy]
    _asked: int = field(init=False, default=0)

    def ask(self) -> Policy:
        """Return the next policy."""
        self._asked += 1
        return self.policies[(self._asked - 1) % len(self.policies)]

    def tell(self, policy: Policy, outcome: Outcome) -> None:
        """Learn nothing."""

    def state(self) -> dict[str, Any]:
        """Return how many were asked."""
        return {"asked": self._asked}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._asked = state["asked"]


@dataclass
class WarmStart:
    """Proposes what `first` does, `count` times; `searcher` is told what became of it and goes on from there."""

    first: Searcher
    count: int
    searcher: Searcher
    _asked: int = field(init=False, default=0)

    def ask(self) -> Policy:
        """Return the proposal of whose turn it is."""
        self._asked += 1
        return (self.first if self._asked <= self.count else self.searcher).ask()

    def tell(self, policy: Policy, outcome: Outcome) -> None:
        """Tell both."""
        self.first.tell(policy, outcome)
        self.searcher.tell(policy, outcome)

    def state(self) -> dict[str, Any]:
        """Return how many were asked, and both states."""
        return {"asked": self._asked, "first": self.first.state(), "searcher": self.searcher.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._asked = state["asked"]
        self.first.load(state["first"])
        self.searcher.load(state["searcher"])
