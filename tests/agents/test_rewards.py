"""Rewards r3 to r7 by their formulas, and the one for every goal."""

import math

import pytest

from galen.agents import rewards
from galen.agents.goal import Goal
from galen.agents.searcher import Outcome
from galen.ir import UsageError

REFERENCE = Outcome(0.9, 10.0, 1000)
GOAL = Goal(REFERENCE, max_latency_ms=5.0)
FAST, SLOW = Outcome(0.8, 4.0, 500), Outcome(0.85, 6.0, 600)


@pytest.mark.parametrize(
    ("name", "outcome", "value"),
    [
        ("r4", FAST, -math.log(0.4) * 0.8 / 0.9),
        ("r5", FAST, 0.8),
        ("r5", SLOW, 0.85 * 1.2**-0.05),
        ("r6", FAST, 0.8 - 5 * 0.2),
        ("r6", SLOW, 0.85 - 5 * 0.2),
        ("r7", FAST, 0.8),
        ("r7", SLOW, 0.85 - 5 * 0.2),
        ("goal", FAST, 0.8),
        ("goal", SLOW, 0.85 - 5 * 0.2),
    ],
)
def test_formula(name: str, outcome: Outcome, value: float) -> None:
    assert rewards.reward(name)(outcome, GOAL) == pytest.approx(value)


def test_r3_pays_each_step_for_its_share_of_the_savings() -> None:
    paid = rewards.r3(Outcome(0.81, 5.0), GOAL, costs=[100, 80, 40], accuracies=[0.9, 0.72])
    assert paid == pytest.approx([0.5 * -(0.5 - 20 / 60) + 0.5 * -0.1, 0.5 * -(0.5 - 40 / 60) + 0.5 * -(0.1 + 0.2 / 2)])


def test_with_an_accuracy_bound_faster_is_better_and_missing_it_is_worse_than_anything_that_meets_it() -> None:
    goal = Goal(REFERENCE, min_accuracy=0.84)
    meets, faster, misses = Outcome(0.85, 6.0), Outcome(0.84, 5.0), Outcome(0.6, 1.0)
    values = [rewards.goal_reward(o, goal) for o in (faster, meets, misses)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("name", list(rewards.REWARDS))
def test_a_failed_episode_is_paid_less_than_a_bad_one(name: str) -> None:
    paid = rewards.reward(name)
    assert paid(Outcome(error="cannot be lowered"), GOAL) < paid(Outcome(0.1, 9.0), GOAL)


def test_an_unknown_reward_is_refused() -> None:
    with pytest.raises(UsageError, match="r9"):
        rewards.reward("r9")
