"""The multiple-choice knapsack against brute force."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from galen.agents.knapsack import GRID, Choice, solve

choices = st.builds(Choice, st.floats(-10, 10), st.floats(0, 5))
problems = st.lists(st.lists(choices, min_size=1, max_size=5), min_size=1, max_size=5)


def brute_force(classes: list[list[Choice]], budget: float) -> float | None:
    totals = [
        sum(choice.loss for choice in picked)
        for picked in itertools.product(*classes)
        if sum(choice.cost for choice in picked) <= budget
    ]
    return min(totals, default=None)


@settings(deadline=None)
@given(problems, st.floats(-20, 30))
def test_never_above_the_budget_and_optimal_up_to_the_rounding_of_costs(classes, budget) -> None:
    chosen = solve(classes, budget)
    floor = sum(min(choice.cost for choice in options) for options in classes)
    if chosen is None:
        assert floor > budget
        return
    picked = [options[j] for options, j in zip(classes, chosen, strict=True)]
    assert sum(choice.cost for choice in picked) <= budget + 1e-6
    rounding = len(classes) * (budget - floor) / GRID
    best = brute_force(classes, budget - rounding - 1e-6)
    assert best is None or sum(choice.loss for choice in picked) <= best + 1e-9


@settings(deadline=None)
@given(problems, st.floats(0, 20), st.floats(0, 20))
def test_a_larger_budget_never_loses_more(classes, a, b) -> None:
    floor = sum(min(choice.cost for choice in options) for options in classes)
    small, large = (brute_force(classes, floor + budget) for budget in sorted((a, b)))
    assert large <= small
    chosen = solve(classes, floor + max(a, b) * (1 + 2 * len(classes) / GRID) + 1e-6)
    assert sum(options[j].loss for options, j in zip(classes, chosen, strict=True)) <= large + 1e-9
