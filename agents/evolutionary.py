"""NSGA-II (Deb et al. 2002) on accuracy and latency, the goal's bounds as constraint."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from galen.agents.searcher import Outcome
from galen.agents.study import StudySearcher

if TYPE_CHECKING:
    import optuna

POPULATION = 20
"""Small, so that a search of 150 evaluations sees several generations."""


@dataclass
class Evolutionary(StudySearcher):
    """Crosses and mutates the front found so far."""

    def sampler(self, seed: int) -> "optuna.samplers.BaseSampler":
        """Return NSGA-II."""
        import optuna  # noqa: PLC0415

        return optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)

    def values(self, outcome: Outcome) -> list[float]:
        """Return lost accuracy and the share of the latency that remains."""
        if outcome.error is not None:
            return [1.0, 1.0]
        return [1 - outcome.accuracy, outcome.latency_ms / self.problem.goal.reference.latency_ms]
