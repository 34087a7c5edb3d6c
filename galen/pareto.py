"""The Pareto front of accuracy against latency, and the area it dominates."""

from collections.abc import Iterable, Sequence

from galen.agents.searcher import Outcome
from galen.journal import Episode


def front(episodes: Iterable[Episode]) -> tuple[Episode, ...]:
    """Return the episodes that no other one equals or beats in both accuracy and latency, fastest first."""
    done = [episode for episode in episodes if episode.outcome.error is None]
    done.sort(key=lambda e: (e.outcome.latency_ms, -e.outcome.accuracy, e.number))
    chosen: list[Episode] = []
    for episode in done:
        if not chosen or episode.outcome.accuracy > chosen[-1].outcome.accuracy:
            chosen.append(episode)
    return tuple(chosen)


def hypervolume(outcomes: Sequence[Outcome], reference: Outcome) -> float:
    """Return the dominated area in units of the uncompressed network's latency times accuracy 1.

    The reference point is accuracy 0 at the uncompressed latency.
    """
    area, right = 0.0, 1.0
    best = sorted((o for o in outcomes if o.error is None), key=lambda o: (-o.accuracy, o.latency_ms))
    for outcome in best:
        ratio = outcome.latency_ms / reference.latency_ms
        if ratio < right:
            area += (right - ratio) * outcome.accuracy
            right = ratio
    return area
