"""The Pareto front and its hypervolume."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galen.agents.searcher import Outcome
from galen.journal import Episode
from galen.pareto import front, hypervolume
from galen.passes.policy import Policy

REFERENCE = Outcome(0.9, 10.0, 100)
outcomes = st.lists(st.builds(Outcome, st.floats(0, 1), st.floats(0.1, 12)) | st.just(Outcome(error="no")))


def episodes(found: list[Outcome]) -> list[Episode]:
    return [Episode(i, Policy(), outcome, False, None, 0.0) for i, outcome in enumerate(found)]


@given(outcomes)
def test_nothing_in_the_front_is_beaten_and_everything_else_is(found: list[Outcome]) -> None:
    chosen = front(episodes(found))
    rest = [o for o in found if o.error is None]
    for episode in chosen:
        o = episode.outcome
        assert not any(p.accuracy > o.accuracy and p.latency_ms <= o.latency_ms for p in rest)
        assert not any(p.accuracy >= o.accuracy and p.latency_ms < o.latency_ms for p in rest)
    for o in rest:
        assert any(e.outcome.accuracy >= o.accuracy and e.outcome.latency_ms <= o.latency_ms for e in chosen)


def test_hypervolume_is_the_area_of_the_staircase() -> None:
    found = [Outcome(0.9, 8.0), Outcome(0.5, 2.0), Outcome(0.4, 5.0), Outcome(error="no"), Outcome(1.0, 11.0)]
    assert hypervolume(found, REFERENCE) == pytest.approx(0.2 * 0.9 + 0.6 * 0.5)


@given(outcomes, outcomes)
def test_more_outcomes_never_dominate_less(a: list[Outcome], b: list[Outcome]) -> None:
    assert hypervolume(a + b, REFERENCE) >= hypervolume(a, REFERENCE) - 1e-12
