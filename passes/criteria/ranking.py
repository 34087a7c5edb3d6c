"""From what a criterion says of every member of a group to one score per channel, comparable between groups."""

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from galen.ir import UsageError, plugins
from galen.ir.coupling import Group
from galen.passes.criteria import magnitude, reading, taylor
from galen.passes.criteria.evidence import Evidence, Vector

CriterionName = Literal[
    "l1", "l2", "fpgm", "lamp", "bn-scale", "taylor", "hessian", "activation", "reconstruction", "random"
]
Aggregate = Literal["sum", "max", "leader"]
Normalise = Literal["auto", "mean", "max", "none"]

Criterion = Callable[[Evidence, Group], list[Vector]]
"""Returns one vector per member that has something to say of a group, in order of execution."""

CRITERIA: Mapping[str, Criterion] = {
    "l1": magnitude.l1,
    "l2": magnitude.l2,
    "fpgm": magnitude.fpgm,
    "lamp": magnitude.lamp,
    "bn-scale": magnitude.bn_scale,
    "taylor": taylor.taylor,
    "hessian": taylor.hessian,
    "activation": reading.activation,
    "reconstruction": reading.reconstruction,
    "random": magnitude.random,
}

AGGREGATES: Mapping[str, Callable[[list[Vector]], Vector]] = {
    "sum": lambda votes: np.sum(votes, axis=0),
    "max": lambda votes: np.max(votes, axis=0),
    "leader": lambda votes: votes[0],
}

_COMPARABLE = frozenset({"lamp", "taylor", "hessian", "random"})
"""Criteria whose scores mean the same in every group: a loss, or a share."""

_TINY = float(np.finfo(np.float64).tiny)


GROUP = "galen.criteria"
"""Entry points of other packages' criteria, each named as `prune{criterion=…}` names it."""


def find(name: str) -> Criterion:
    """Return the criterion of that name, Galen's own or one that another package brings.

    Raises:
        UsageError: there is none.
        GalenError: the package that brings it cannot be imported.
    """
    found: Criterion | None = CRITERIA.get(name) or plugins.find(GROUP, name)
    if found is None:
        known = ", ".join([*CRITERIA, *plugins.names(GROUP)])
        raise UsageError(f"unknown criterion {name!r}", where="criterion", hint=f"one of {known}")
    return found


def score(evidence: Evidence, group: Group, criterion: str = "l1", aggregate: Aggregate = "sum") -> Vector:
    """Return the importance of the channels of a group, `[size]`. Where the criterion has nothing to say, that of L2.

    Raises:
        UsageError: there is no such criterion.
        GalenError: it needs data, and there is none.
    """
    votes = find(criterion)(evidence, group) or magnitude.l2(evidence, group)
    return AGGREGATES[aggregate](votes) if votes else np.zeros(group.size)


def comparable(scores: Vector, criterion: str, normalise: Normalise = "auto") -> Vector:
    """Return scores that can be ranked together with those of other groups.

    Args:
        normalise: divide by the group's mean or largest score; `auto`: by the mean, unless the criterion's scores
            already mean the same in every group.
    """
    if normalise == "none" or (normalise == "auto" and criterion in _COMPARABLE):
        return scores
    finite = scores[np.isfinite(scores)]
    scale = float(finite.max(initial=0) if normalise == "max" else finite.mean() if len(finite) else 0)
    return scores / max(scale, _TINY)
