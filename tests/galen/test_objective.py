"""The objective as text and as bounds."""

import pytest

from galen.agents.searcher import Outcome
from galen.ir import UsageError
from galen.objective import Objective

REFERENCE = Outcome(0.9, 8.0, 100)


@pytest.mark.parametrize(
    ("latency", "accuracy", "bounds"),
    [
        ("25%", None, (2.0, None)),
        ("4.2ms", None, (4.2, None)),
        ("12.5 %", None, (1.0, None)),
        (None, "0.85", (None, 0.85)),
        (None, "-0.005", (None, 0.895)),
        (None, "=-0.005", (None, 0.895)),
        ("50%", "0.8", (4.0, 0.8)),
        (None, None, (4.0, None)),
    ],
)
def test_bounds(latency, accuracy, bounds) -> None:
    goal = Objective.parse(latency, accuracy).goal(REFERENCE)
    assert (goal.max_latency_ms, goal.min_accuracy) == pytest.approx(bounds)


@pytest.mark.parametrize(
    ("latency", "accuracy"),
    [
        ("25", None),
        ("fast", None),
        ("0ms", None),
        ("-5%", None),
        ("5s", None),
        (None, "high"),
        (None, "91"),
        (None, "nan"),
    ],
)
def test_malformed_bounds_are_usage_errors(latency, accuracy) -> None:
    with pytest.raises(UsageError):
        Objective.parse(latency, accuracy)


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        (Objective(), "latency within 50%"),
        (Objective("4.2ms"), "latency within 4.2ms"),
        (Objective(None, -0.005), "accuracy at least the original -0.005"),
        (Objective("25%", 0.91), "latency within 25%, accuracy at least 0.91"),
    ],
)
def test_in_words(objective: Objective, text: str) -> None:
    assert str(objective) == text
