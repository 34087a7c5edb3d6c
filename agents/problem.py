"""All that a searcher is told before the first episode."""

from collections.abc import Callable
from dataclasses import dataclass, field

from galen.agents.goal import Goal
from galen.agents.sensitivity import Sensitivity
from galen.passes.policy import Policy
from galen.passes.space import Space


@dataclass(frozen=True)
class Problem:
    """One search.

    Attributes:
        predict: estimates the latency of a policy in milliseconds without building it; cheap, so that a searcher may
            call it often. It may improve while the search goes on.
        accuracy: scores a policy without building or recovering it; only the reward r3 needs it.
        episodes: how many evaluations there will be; 0: unknown.
        seed: of the searcher's generator.
    """

    space: Space
    goal: Goal
    predict: Callable[[Policy], float]
    sensitivity: Sensitivity = field(default_factory=Sensitivity)
    accuracy: Callable[[Policy], float] | None = None
    episodes: int = 0
    seed: int = 0


def bops_latency(space: Space, reference_ms: float) -> Callable[[Policy], float]:
    """Return a predictor for want of a better one: latency in proportion to BOPs."""
    total = sum(space.bops(layer, Policy()) for layer in space.layers)

    def predict(policy: Policy) -> float:
        return reference_ms * sum(space.bops(layer, policy) for layer in space.layers) / max(total, 1.0)

    return predict
