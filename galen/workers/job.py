"""What a worker does, wherever it runs: it loads the search's subject once and evaluates what it is asked to."""

import os
from collections.abc import Collection
from functools import cached_property

from galen.candidate import CandidateEvaluator
from galen.evaluate import attempt
from galen.options import SearchOptions
from galen.workers import wire


class Job:
    """Answers requests of one search.

    Args:
        options: of the search.
        cores: processors to keep to, all threads of this process together.
    """

    def __init__(self, options: SearchOptions, cores: Collection[int]) -> None:
        os.sched_setaffinity(0, cores)  # before any library counts the processors to make its threads
        self._options = options

    def __call__(self, request: bytes) -> bytes:
        """Evaluate one candidate; what keeps the subject from being loaded becomes every candidate's error."""
        policy, rivals = wire.read_request(request)
        return wire.reply(attempt(lambda: self._evaluator.evaluate(policy, rivals)))

    @cached_property
    def _evaluator(self) -> CandidateEvaluator:
        return CandidateEvaluator.load(self._options)


def share(place: int, size: int, cores: Collection[int]) -> list[int]:
    """Return the processors of worker `place` of `size`: an equal part of `cores`, or one that several share."""
    ordered = sorted(cores)
    return ordered[place::size] or [ordered[place % len(ordered)]]
