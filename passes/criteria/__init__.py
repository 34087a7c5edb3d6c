"""Importance of channels: one vector per group, larger is more worth keeping.

A criterion judges every layer that computes or reads a group; what its members say is aggregated over the group.
"""

from galen.passes.criteria.evidence import Evidence
from galen.passes.criteria.ranking import AGGREGATES, CRITERIA, Aggregate, CriterionName, score

__all__ = ["AGGREGATES", "CRITERIA", "Aggregate", "CriterionName", "Evidence", "score"]
