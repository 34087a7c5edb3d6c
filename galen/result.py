"""What a search returns, and prints with `--json`."""

from dataclasses import dataclass
from typing import Any

from galen.agents.searcher import Outcome
from galen.edge import DONE, INTERRUPTED, MISSED
from galen.journal import Episode


@dataclass(frozen=True)
class SearchResult:
    """The outcome of one search.

    Attributes:
        best: the winner as saved: fine-tuned, built whole, scored on all of the search data.
        test_accuracy: of the winner on the test data, None: there is none.
        met: whether the winner meets every bound.
        episodes: how many were evaluated, earlier runs included; `seconds` likewise.
        kind: `measured` or `modelled`.
        finished: False after an interrupt.
        front: the episodes that no other beats in both accuracy and latency, fastest first.
    """

    baseline: Outcome
    best: Outcome
    test_accuracy: float | None
    met: bool
    episodes: int
    seconds: float
    seed: int
    agent: str
    target: str
    kind: str
    finished: bool = True
    front: tuple[Episode, ...] = ()

    @property
    def exit_code(self) -> int:
        """Return 0, 3 when a bound was missed, 130 after an interrupt."""
        if not self.finished:
            return INTERRUPTED
        return DONE if self.met else MISSED

    def to_json(self) -> dict[str, Any]:
        """Return what `galen search --json` prints."""
        return {
            "baseline": figures(self.baseline),
            "best": {**figures(self.best), "test_accuracy": self.test_accuracy},
            "met": self.met,
            "episodes": self.episodes,
            "seconds": round(self.seconds, 3),
            "seed": self.seed,
            "agent": self.agent,
            "target": self.target,
            "kind": self.kind,
        }


def figures(outcome: Outcome) -> dict[str, Any]:
    """Return the three numbers of an outcome."""
    return {"accuracy": outcome.accuracy, "latency_ms": outcome.latency_ms, "bytes": outcome.bytes}
