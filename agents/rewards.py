"""Rewards of an episode. A: accuracy, C: latency, T: the latency bound; `ref` marks the uncompressed network.

r3 to r7 are those of the Galen paper's code (arXiv 2212.07818); `goal` extends r7 to every kind of goal.
"""

import math
from collections.abc import Callable, Sequence

from galen.agents.goal import Goal
from galen.agents.searcher import Outcome
from galen.ir import UsageError

Reward = Callable[[Outcome, Goal], float]

ERROR = -5.0
"""Reward of an episode without a result: what a candidate at twice the allowed latency would get."""


def r3(
    outcome: Outcome, goal: Goal, costs: Sequence[float], accuracies: Sequence[float], gamma: float = 0.5
) -> list[float]:
    """Return a reward per step, from its share of the savings and the accuracy after it.

    Args:
        costs: BOPs s_0, ..., s_n of the network before the first step and after every step.
        accuracies: A_1, ..., A_n after every step.
    """
    reference = goal.reference
    saved = costs[0] - costs[-1] + 1e-9
    loss = 1 - outcome.accuracy / reference.accuracy
    ratio = outcome.latency_ms / reference.latency_ms
    rewards = []
    for before, after, accuracy in zip(costs[:-1], costs[1:], accuracies, strict=True):
        cost = -(ratio - (before - after) / saved)
        quality = -(loss + (1 - accuracy / reference.accuracy) / len(accuracies))
        rewards.append(gamma * cost + (1 - gamma) * quality)
    return rewards


def r4(outcome: Outcome, goal: Goal) -> float:
    """-ln(C / C_ref) A / A_ref."""
    return -math.log(outcome.latency_ms / goal.reference.latency_ms) * outcome.accuracy / goal.reference.accuracy


def r5(outcome: Outcome, goal: Goal, beta: float = -0.05) -> float:
    """A within the bound, else A (C / T)^beta (MnasNet, arXiv 1807.11626, eq. 2)."""
    return float(outcome.accuracy * max(_ratio(outcome, goal), 1.0) ** beta)


def r6(outcome: Outcome, goal: Goal, beta: float = -5.0) -> float:
    """A + beta |C / T - 1|: the published default, which punishes being faster than asked."""
    return outcome.accuracy + beta * abs(_ratio(outcome, goal) - 1)


def r7(outcome: Outcome, goal: Goal, beta: float = -5.0) -> float:
    """A within the bound, else A + beta |C / T - 1|."""
    return outcome.accuracy + beta * max(_ratio(outcome, goal) - 1, 0.0)


def goal_reward(outcome: Outcome, goal: Goal, beta: float = -5.0) -> float:
    """Return what is maximised, A or -C / C_ref, and beta times the violation: r7 when only latency is bounded."""
    worth = outcome.accuracy if goal.min_accuracy is None else -outcome.latency_ms / goal.reference.latency_ms
    return worth + beta * goal.violation(outcome)


PER_STEP = "r3"
"""The reward that needs the accuracy after every step, see `r3`."""

REWARDS: dict[str, Reward] = {"goal": goal_reward, "r4": r4, "r5": r5, "r6": r6, "r7": r7}


def reward(name: str) -> Reward:
    """Return the reward of whole episodes called `name`; one that never raises for failed ones."""
    check(name)
    formula = REWARDS[name]
    return lambda outcome, goal: ERROR if outcome.error is not None else formula(outcome, goal)


def check(name: str) -> None:
    """Refuse unknown names.

    Raises:
        UsageError: there is no reward of that name.
    """
    if name not in (PER_STEP, *REWARDS):
        known = sorted((PER_STEP, *REWARDS))
        raise UsageError(f"unknown reward {name!r}", where="--reward", hint=f"known: {', '.join(known)}")


def _ratio(outcome: Outcome, goal: Goal) -> float:
    """C / T; without a latency bound T is half the reference, the search's default."""
    bound = goal.max_latency_ms if goal.max_latency_ms is not None else 0.5 * goal.reference.latency_ms
    return outcome.latency_ms / bound
