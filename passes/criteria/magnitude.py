"""Criteria that need nothing but the weights."""

import zlib

import numpy as np

from galen.ir.coupling import Group
from galen.passes.criteria.evidence import Evidence, Vector


def l1(evidence: Evidence, group: Group) -> list[Vector]:
    """Sum of absolute weights of a filter (Li et al. 2017, section 3.1)."""
    return [np.abs(rows).sum(axis=(1, 2), dtype=np.float64) for rows in evidence.filters(group)]


def l2(evidence: Evidence, group: Group) -> list[Vector]:
    """Euclidean norm of a filter (He et al. 2018, section 3.2)."""
    return [np.sqrt(np.square(rows).sum(axis=(1, 2), dtype=np.float64)) for rows in evidence.filters(group)]


def random(evidence: Evidence, group: Group) -> list[Vector]:
    """Uniform numbers: what a criterion must beat. They depend on the seed and the group's name only."""
    return [np.random.default_rng([evidence.seed, zlib.crc32(group.name.encode())]).random(group.size)]
