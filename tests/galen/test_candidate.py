"""Scoring a candidate: what cannot become part of the front any more is stopped early."""

from types import SimpleNamespace

import pytest

from galen.agents.searcher import Outcome
from galen.backends.accuracy import Score
from galen.backends.latency import Latency
from galen.candidate import CandidateEvaluator
from galen.passes.policy import Policy

RIVALS = (Outcome(0.5, 1.0), Outcome(0.7, 2.0), Outcome(0.9, 3.0))


def evaluator(latency_ms: float, bars: list[float | None]) -> CandidateEvaluator:
    """Return one whose candidates take `latency_ms`; notes the bars, and stops after 100 samples where there is one."""

    def accuracy(model: object, bar: float | None) -> Score:
        bars.append(bar)
        return Score(0.4, 100 if bar else 1000, "top-1", complete=not bar)

    latency = Latency(latency_ms, latency_ms, latency_ms, 1, "modelled", "toy", None, None)
    subject = SimpleNamespace(latency=lambda model: latency, bytes=lambda model: 7)
    return CandidateEvaluator(subject, lambda policy, watch: None, accuracy)  # type: ignore[arg-type]


@pytest.mark.parametrize(("latency_ms", "bar"), [(0.5, None), (1.0, 0.5), (2.5, 0.7), (9.0, 0.9)])
def test_a_candidate_races_the_most_accurate_of_those_that_are_as_fast(latency_ms: float, bar: float | None) -> None:
    bars: list[float | None] = []
    outcome = evaluator(latency_ms, bars).evaluate(Policy(), RIVALS).outcome
    assert bars == [bar]
    assert outcome == Outcome(0.4, latency_ms, 7, samples=100 if bar else 1000, raced=bar is not None)


def test_the_first_candidate_runs_to_the_end() -> None:
    assert not evaluator(1.0, []).evaluate(Policy(), ()).outcome.raced
