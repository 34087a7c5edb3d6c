"""Fits a plan of actions to a latency: whatever an agent proposes, what is evaluated uses the budget and no more.

AMC (arXiv 1802.03494, alg. 1) and HAQ (arXiv 1811.08886, sec. 3.3) also restrict what the agent may ask for, layer by
layer and from one end; here all layers move together, so that the agent's shares between layers survive.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from galen.agents.problem import Problem
from galen.agents.searcher import Outcome
from galen.agents.walk import SPARSITY, Walk
from galen.passes.policy import Policy

CHANNELS = (SPARSITY,)
"""Moved first: channels come in many steps and widths in few, and moved with them would change at random."""

EDGE = 0.01
BACK = (0.125, 0.25, 0.5, 1.0, 2.0)
SHIFTS = np.linspace(-10, 10, 41)


def fit(plan: np.ndarray, latency: Callable[[np.ndarray], float], budget_ms: float, moved: Sequence[int]) -> np.ndarray:
    """Return `plan` with some logits shifted by the one number that brings `latency` closest below `budget_ms`.

    Latency need not be monotone in the shift (a narrower width can be slower): the smallest excess wins, then the
    latency nearest to the budget, then the smallest shift. Refined once around the best of a coarse grid.

    Args:
        plan: actions `[steps, parameters]` in [0, 1].
        latency: of a plan, in milliseconds.
        moved: the parameters whose logits are shifted.
    """
    logits, direction = _logits(plan), np.isin(np.arange(plan.shape[1]), moved)

    def cost(shift: float) -> tuple[float, float, float]:
        predicted = latency(_sigmoid(logits + shift * direction))
        return max(predicted - budget_ms, 0.0), max(budget_ms - predicted, 0.0), abs(shift)

    coarse = min(map(float, SHIFTS), key=cost)
    width = float(SHIFTS[1] - SHIFTS[0])
    shift = min((coarse + width * part for part in np.linspace(-1, 1, 17)), key=cost)
    return _sigmoid(logits + shift * direction)


def fill(
    plan: np.ndarray, latency: Callable[[np.ndarray], float], budget_ms: float, moved: Sequence[int]
) -> np.ndarray:
    """Return `plan` with single steps shifted back as far as `budget_ms` allows.

    One shift for all stops at the first that is too slow, and what it leaves can be a tenth of the budget. As with
    largest remainders, those that were nearest to more channels go first.
    """
    logits, direction = _logits(plan), np.isin(np.arange(plan.shape[1]), moved)
    used = latency(plan)
    for back in BACK:
        for i in range(len(plan)):
            tried = logits.copy()
            tried[i] -= back * direction
            now = latency(_sigmoid(tried))
            if used < now <= budget_ms:
                logits, used = tried, now
    return _sigmoid(logits)


@dataclass
class Aim:
    """Turns plans into policies that use the latency budget; the budget follows the best outcome where it has to.

    Attributes:
        first: the parameters that are moved; the others only where these do not meet the budget.
        best: of those that met the goal.
        nearest: the policy that comes first in the goal's order, whether or not it meets it, and its outcome.
    """

    problem: Problem
    walk: Walk
    first: tuple[str, ...] = CHANNELS
    best: Outcome | None = None
    nearest: tuple[Policy, Outcome] | None = None

    def policy(self, plan: np.ndarray) -> Policy:
        """Return the policy of `plan`, fitted to the budget: by what moves first, by everything if that does not do."""
        parameters = range(len(self.walk.parameters))
        first = [i for i in parameters if self.walk.parameters[i] in self.first]
        for moved in (first or parameters, parameters):
            fitted = fit(plan, self._predict, self.budget_ms, moved)
            if self._predict(fitted) <= self.budget_ms:
                return self.walk.policy(fill(fitted, self._predict, self.budget_ms, moved))
        return self.walk.policy(fitted)

    def _predict(self, plan: np.ndarray) -> float:
        return self.problem.predict(self.walk.policy(plan))

    @property
    def budget_ms(self) -> float:
        """Latency to aim at: the bound when only latency is bounded, else a little below the best that met the goal."""
        goal = self.problem.goal
        limit = goal.max_latency_ms if goal.max_latency_ms is not None else goal.reference.latency_ms
        if goal.min_accuracy is None:
            return limit
        return 0.7 * limit if self.best is None else min(0.95 * self.best.latency_ms, limit)

    def saw(self, policy: Policy, outcome: Outcome) -> None:
        """Take note of an outcome."""
        goal = self.problem.goal
        if self.nearest is None or goal.rank(outcome) < goal.rank(self.nearest[1]):
            self.nearest = policy, outcome
            if goal.met(outcome):
                self.best = outcome

    def state(self) -> dict[str, Any] | None:
        """Return what comes first."""
        if self.nearest is None:
            return None
        policy, outcome = self.nearest
        return {"policy": policy.to_json(), "outcome": asdict(outcome)}

    def load(self, state: dict[str, Any] | None) -> None:
        """Continue from what `state` returned."""
        if state is not None:
            self.saw(Policy.from_json(state["policy"]), Outcome(**state["outcome"]))


def _logits(plan: np.ndarray) -> np.ndarray:
    clipped = np.clip(plan, EDGE, 1 - EDGE)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-logits)))
