"""Model-based sampling of the reward: tree-structured Parzen estimator, Gaussian process."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from galen.agents.study import StudySearcher

if TYPE_CHECKING:
    import optuna


@dataclass
class Parzen(StudySearcher):
    """TPE (Bergstra et al. 2011), the decisions modelled jointly."""

    def sampler(self, seed: int) -> "optuna.samplers.BaseSampler":
        """Return TPE."""
        import optuna  # noqa: PLC0415

        return optuna.samplers.TPESampler(multivariate=True, seed=seed)


@dataclass
class Gaussian(StudySearcher):
    """Gaussian process with expected improvement."""

    def sampler(self, seed: int) -> "optuna.samplers.BaseSampler":
        """Return the GP sampler."""
        import optuna  # noqa: PLC0415

        return optuna.samplers.GPSampler(seed=seed)
