"""The order in which a goal puts outcomes."""

from hypothesis import given
from hypothesis import strategies as st

from galen.agents.goal import Goal
from galen.agents.searcher import Outcome

REFERENCE = Outcome(0.9, 10.0, 1000)
outcomes = st.builds(Outcome, st.floats(0, 1), st.floats(0.1, 20), st.integers(0, 1000))
goals = st.builds(
    lambda t, a: Goal(REFERENCE, t, a if t is not None else a or 0.5),
    st.none() | st.floats(1, 10),
    st.none() | st.floats(0.1, 1),
)


def best(goal: Goal, *outcomes: Outcome) -> Outcome:
    return min(outcomes, key=goal.rank)


def test_within_a_latency_bound_the_most_accurate_wins() -> None:
    goal = Goal(REFERENCE, max_latency_ms=5.0)
    assert best(goal, Outcome(0.8, 4.9), Outcome(0.7, 1.0), Outcome(0.9, 5.1)) == Outcome(0.8, 4.9)


def test_above_an_accuracy_bound_the_fastest_wins() -> None:
    goal = Goal(REFERENCE, min_accuracy=0.8)
    assert best(goal, Outcome(0.8, 4.9), Outcome(0.7, 1.0), Outcome(0.9, 5.1)) == Outcome(0.8, 4.9)


def test_with_both_bounds_the_fastest_that_meets_both_wins() -> None:
    goal = Goal(REFERENCE, 5.0, 0.8)
    assert best(goal, Outcome(0.85, 5.0), Outcome(0.8, 4.0), Outcome(0.79, 3.0)) == Outcome(0.8, 4.0)


def test_among_misses_the_nearest_wins() -> None:
    goal = Goal(REFERENCE, 5.0, 0.8)
    assert best(goal, Outcome(0.9, 10.0), Outcome(0.78, 5.0)) == Outcome(0.78, 5.0)


@given(goals, outcomes)
def test_errors_come_last(goal: Goal, outcome: Outcome) -> None:
    assert goal.rank(outcome) < goal.rank(Outcome(error="no kernel"))


@given(goals, outcomes, outcomes)
def test_what_meets_the_goal_comes_before_what_does_not(goal: Goal, a: Outcome, b: Outcome) -> None:
    if goal.met(a) and not goal.met(b):
        assert goal.rank(a) < goal.rank(b)
