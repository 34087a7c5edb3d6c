"""The one interface of every searcher, learning or not: ask for a policy, tell what became of it."""

from dataclasses import dataclass
from typing import Any, Protocol

from galen.passes.policy import Policy


@dataclass(frozen=True)
class Outcome:
    """What the evaluation of one policy returned.

    Attributes:
        accuracy: share of 1 on the search data.
        latency_ms: of one inference on the target.
        bytes: weights at their assigned widths.
        samples: how many `accuracy` is a share of; 0: unknown.
        raced: whether scoring stopped after `samples`, another outcome being as fast and certain to be more accurate.
            `accuracy` is then the share of those: an estimate, of which only that it is below the other's is certain.
        error: why there is no result; the other numbers are then meaningless.
    """

    accuracy: float = 0.0
    latency_ms: float = float("inf")
    bytes: int = 0
    samples: int = 0
    raced: bool = False
    error: str | None = None


class Searcher(Protocol):
    """Proposes legal policies. Deterministic: all randomness comes from the generator it was made with."""

    def ask(self) -> Policy:
        """Return the next policy to evaluate."""
        ...

    def tell(self, policy: Policy, outcome: Outcome) -> None:
        """Take in the result of a policy that `ask` returned."""
        ...

    def state(self) -> dict[str, Any]:
        """Return everything needed to go on later: JSON values, byte strings and numpy arrays only."""
        ...

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        ...
