"""What the driver needs of whoever turns a policy into numbers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from galen.agents.searcher import Outcome
from galen.backends.latency import Latency
from galen.ir import GalenError, Model
from galen.passes.policy import Policy

_TORCH_OUT_OF_MEMORY = "can't allocate memory"
"""How torch says it: it has no exception of its own for the memory of a processor."""


@dataclass(frozen=True)
class Evaluation:
    """An outcome, the model and its latency layer by layer if there are any, and seconds by phase."""

    outcome: Outcome
    model: Model | None = None
    latency: Latency | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


class Evaluator(Protocol):
    """Builds, times and scores candidates. Deterministic."""

    def evaluate(self, policy: Policy, rivals: Sequence[Outcome]) -> Evaluation:
        """Evaluate one legal policy.

        Args:
            rivals: the Pareto front so far; scoring may stop at a candidate that can no longer become part of it.

        Raises:
            GalenError: the candidate has no result; the search records why and goes on.
        """
        ...


def attempt(evaluate: Callable[[], Evaluation]) -> Evaluation:
    """Return the evaluation; where the candidate has no result, one that says why."""
    try:
        return evaluate()
    except GalenError as error:
        return Evaluation(Outcome(error=str(error)))
    except MemoryError:
        return Evaluation(Outcome(error="out of memory"))
    except RuntimeError as error:
        if _TORCH_OUT_OF_MEMORY not in str(error):
            raise
        return Evaluation(Outcome(error="out of memory"))
