"""Fitting a plan to a latency keeps the order of its actions and goes no further than it must."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from galen.agents.budget import fill, fit

plans = arrays(float, (6, 1), elements=st.floats(0, 1))


def latency(plan: np.ndarray) -> float:
    return float((1 - plan).sum())


@given(plans, st.floats(0.5, 5.5))
def test_the_fitted_plan_is_within_the_budget_and_near_it(plan: np.ndarray, budget: float) -> None:
    fitted = latency(fit(plan, latency, budget, moved=[0]))
    assert fitted <= budget + 1e-9
    assert fitted > 0.7 * budget


@given(plans, st.floats(0.5, 5.5))
def test_the_order_of_the_layers_survives(plan: np.ndarray, budget: float) -> None:
    fitted = fit(plan, latency, budget, moved=[0])
    ordered = np.argsort(plan[:, 0], kind="stable")
    assert (np.diff(fitted[ordered, 0]) >= -1e-12).all()


def test_where_no_shift_is_fast_enough_the_fastest_is_taken() -> None:
    fitted = fit(np.full((3, 1), 0.5), lambda plan: 10 + latency(plan), 1.0, moved=[0])
    assert latency(fitted) < 0.1


def coarse(plan: np.ndarray) -> float:
    """Layers that keep their channels in quarters."""
    return float(np.ceil(4 * (1 - plan)).sum() / 4)


@given(plans, st.floats(0.5, 5.5))
def test_filling_never_leaves_the_budget_and_never_cuts_more(plan: np.ndarray, budget: float) -> None:
    fitted = fit(plan, coarse, budget, moved=[0])
    filled = fill(fitted, coarse, budget, moved=[0])
    assert coarse(filled) >= coarse(fitted)
    assert coarse(filled) <= max(budget, coarse(fitted))


def test_what_a_common_shift_leaves_of_the_budget_is_given_to_single_steps() -> None:
    alike = np.full((6, 1), 0.5)
    fitted = fit(alike, coarse, 3.75, moved=[0])
    assert coarse(fitted) == 3.0
    assert coarse(fill(fitted, coarse, 3.75, moved=[0])) == 3.75
