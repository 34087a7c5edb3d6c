"""Fits a plan of actions to a latency: whatever an agent proposes, what is evaluated uses the budget and no more.

AMC (arXiv 1802.03494, alg. 1) and HAQ (arXiv 1811.08886, sec. 3.3) also restrict what the agent may ask for, layer by
layer and from one end; here all actions move together, so that the agent's shares between layers survive.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from galen.agents.problem import Problem
from galen.agents.searcher import Outcome
from galen.agents.walk import Walk
from galen.passes.policy import Policy

EDGE = 0.01
SHIFTS = np.linspace(-10, 10, 41)


def fit(plan: np.ndarray, latency: Callable[[np.ndarray], float], budget_ms: float) -> np.ndarray:
    """Return `plan` with all its logits shifted by the one number that brings `latency` closest below `budget_ms`.

    Latency need not be monotone in the shift (a narrower width can be slower): the smallest excess wins, then the
    latency nearest to the budget, then the smallest shift. Refined once around the best of a coarse grid.
    """
    clipped = np.clip(plan, EDGE, 1 - EDGE)
    logits = np.log(clipped / (1 - clipped))

    def cost(shift: float) -> tuple[float, float, float]:
        predicted = latency(_sigmoid(logits + shift))
        return max(predicted - budget_ms, 0.0), max(budget_ms - predicted, 0.0), abs(shift)

    coarse = min(map(float, SHIFTS), key=cost)
    width = float(SHIFTS[1] - SHIFTS[0])
    shift = min((coarse + width * part for part in np.linspace(-1, 1, 17)), key=cost)
    return _sigmoid(logits + shift)


@dataclass
class Aim:
    """Turns plans into policies that use the latency budget; the budget follows the best outcome where it has to."""

    problem: Problem
    walk: Walk
    best: Outcome | None = None

    def policy(self, plan: np.ndarray) -> Policy:
        """Return the policy of `plan`, fitted to the budget."""
        return self.walk.policy(fit(plan, lambda p: self.problem.predict(self.walk.policy(p)), self.budget_ms))

    @property
    def budget_ms(self) -> float:
        """Latency to aim at: the bound when only latency is bounded, else a little below the best that met the goal."""
        goal = self.problem.goal
        limit = goal.max_latency_ms if goal.max_latency_ms is not None else goal.reference.latency_ms
        if goal.min_accuracy is None:
            return limit
        return 0.7 * limit if self.best is None else min(0.95 * self.best.latency_ms, limit)

    def saw(self, outcome: Outcome) -> None:
        """Take note of an outcome."""
        goal = self.problem.goal
        if goal.met(outcome) and (self.best is None or goal.rank(outcome) < goal.rank(self.best)):
            self.best = outcome

    def state(self) -> dict[str, Any] | None:
        """Return the best outcome."""
        return None if self.best is None else asdict(self.best)

    def load(self, state: dict[str, Any] | None) -> None:
        """Continue from what `state` returned."""
        self.best = None if state is None else Outcome(**state)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits)))
