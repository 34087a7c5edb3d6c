"""Importance of channels: one vector per group, larger is more worth keeping.

A criterion judges every layer that computes or reads a group; what they say is aggregated over the group.
"""

from galen.passes.criteria.evidence import Evidence, Vector
from galen.passes.criteria.ranking import CRITERIA, Aggregate, CriterionName, Normalise, comparable, find, score

__all__ = ["CRITERIA", "Aggregate", "CriterionName", "Evidence", "Normalise", "Vector", "comparable", "find", "score"]
