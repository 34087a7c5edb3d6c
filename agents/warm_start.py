"""Begins another searcher's work with policies that are known to be good."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from galen.agents.searcher import Outcome, Searcher
from galen.passes.policy import Policy


@dataclass
class WarmStart:
    """Proposes `policies` first; the searcher is told what became of them and goes on from there."""

    searcher: Searcher
    policies: Sequence[Policy]
    _given: int = field(init=False, default=0)

    def ask(self) -> Policy:
        """Return the next of the given policies, then the searcher's own."""
        if self._given == len(self.policies):
            return self.searcher.ask()
        self._given += 1
        return self.policies[self._given - 1]

    def tell(self, policy: Policy, outcome: Outcome) -> None:
        """Pass it on."""
        self.searcher.tell(policy, outcome)

    def state(self) -> dict[str, Any]:
        """Return how many were given, and the searcher's state."""
        return {"given": self._given, "searcher": self.searcher.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._given = state["given"]
        self.searcher.load(state["searcher"])
