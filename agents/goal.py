"""What the search is for, in numbers: the bounds, the reference they refer to, and the order they put outcomes in."""

from dataclasses import dataclass

from galen.agents.searcher import Outcome


@dataclass(frozen=True)
class Goal:
    """Bounds on latency and accuracy; at least one is set.

    With a latency bound alone the most accurate model within it wins; with an accuracy bound the fastest within all
    bounds. Outcomes that miss a bound come after all that do not, ordered by how far they miss.

    Attributes:
        reference: the uncompressed network on the same target.
        max_latency_ms, min_accuracy: absolute bounds, None: unbounded.
    """

    reference: Outcome
    max_latency_ms: float | None = None
    min_accuracy: float | None = None

    def violation(self, outcome: Outcome) -> float:
        """Return the sum of the relative excesses over the bounds; 0 when all are met, infinite after an error."""
        if outcome.error is not None:
            return float("inf")
        late = short = 0.0
        if self.max_latency_ms is not None:
            late = max(0.0, outcome.latency_ms / self.max_latency_ms - 1)
        if self.min_accuracy is not None and self.min_accuracy > 0:
            short = max(0.0, 1 - outcome.accuracy / self.min_accuracy)
        return late + short

    def met(self, outcome: Outcome) -> bool:
        """Return whether every bound holds."""
        return self.violation(outcome) == 0.0

    def rank(self, outcome: Outcome) -> tuple[float, float, float, float]:
        """Return a sort key: the best outcome has the smallest."""
        worth = (-outcome.accuracy, outcome.latency_ms)
        if self.min_accuracy is not None:
            worth = (outcome.latency_ms, -outcome.accuracy)
        return (self.violation(outcome), *worth, outcome.bytes)
