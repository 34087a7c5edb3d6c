"""What the loop of a search needs of whoever evaluates its candidates."""

from collections.abc import Callable, Sequence
from typing import Protocol

from galen.agents.searcher import Outcome
from galen.evaluate import Evaluation, Evaluator, attempt
from galen.passes.policy import Policy

Awaited = Callable[[], Evaluation]
"""Waits for an evaluation and returns it; called once. A candidate without a result has an outcome that says why."""


class Pool(Protocol):
    """Evaluates candidates, some at once."""

    @property
    def size(self) -> int:
        """How many at once."""
        ...

    def submit(self, policy: Policy, rivals: Sequence[Outcome]) -> Awaited:
        """Begin an evaluation, see `galen.evaluate.Evaluator`; at most `size` may be under way."""
        ...


class Inline:
    """Evaluates one candidate at a time in this process, when its result is asked for."""

    size = 1

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def submit(self, policy: Policy, rivals: Sequence[Outcome]) -> Awaited:
        """Begin nothing yet."""
        return lambda: attempt(lambda: self._evaluator.evaluate(policy, rivals))
