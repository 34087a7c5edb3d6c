"""From what a criterion says of every member of a group to one score per channel."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from galen.ir import UsageError
from galen.ir.coupling import Group
from galen.passes.criteria import magnitude
from galen.passes.criteria.evidence import Evidence, Vector

CriterionName = Literal["l1", "l2", "random"]
Aggregate = Literal["sum", "max", "leader"]

Criterion = Callable[[Evidence, Group], list[Vector]]
"""Returns one vector per member that has something to say of a group, in order of execution."""

CRITERIA: Mapping[str, Criterion] = {"l1": magnitude.l1, "l2": magnitude.l2, "random": magnitude.random}

AGGREGATES: Mapping[str, Callable[[list[Vector]], Vector]] = {
    "sum": lambda votes: np.sum(votes, axis=0),
    "max": lambda votes: np.max(votes, axis=0),
    "leader": lambda votes: votes[0],
}


def score(evidence: Evidence, group: Group, criterion: str = "l1", aggregate: Aggregate = "sum") -> Vector:
    """Return the importance of the channels of a group, `[size]`.

    Raises:
        UsageError: there is no such criterion.
    """
    judge = CRITERIA.get(criterion)
    if judge is None:
        raise UsageError(f"unknown criterion {criterion!r}", hint=f"one of {', '.join(CRITERIA)}")
    votes = judge(evidence, group)
    return AGGREGATES[aggregate](votes) if votes else np.zeros(group.size)
