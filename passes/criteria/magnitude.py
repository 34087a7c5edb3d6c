"""Criteria that need nothing but the weights."""

import zlib

import numpy as np

from galen.ir.coupling import Group
from galen.ir.coupling.axes import Ids
from galen.passes.criteria.evidence import Array, Evidence, Vector


def l1(evidence: Evidence, group: Group) -> list[Vector]:
    """Sum of absolute weights of a filter (Li et al. 2017, section 3.1)."""
    return [np.abs(rows).sum(axis=1)[at].sum(axis=1, dtype=np.float64) for rows, at in evidence.filters(group)]


def l2(evidence: Evidence, group: Group) -> list[Vector]:
    """Euclidean norm of a filter (He et al. 2018a, section 3.2)."""
    return [np.sqrt(_energy(rows, at)) for rows, at in evidence.filters(group)]


def fpgm(evidence: Evidence, group: Group) -> list[Vector]:
    """Sum of distances to all filters: small near their geometric median (He et al. 2019, equation 4)."""
    return [_distances(rows[at].reshape(group.size, -1).astype(np.float64)) for rows, at in evidence.filters(group)]


def lamp(evidence: Evidence, group: Group) -> list[Vector]:
    """Squared norm over that of all filters that are no smaller (Lee et al. 2021, equation 3, for whole filters)."""
    return [_share_of_survivors(_energy(rows, at)) for rows, at in evidence.filters(group)]


def bn_scale(evidence: Evidence, group: Group) -> list[Vector]:
    """Scale of the BatchNormalization behind a layer (Liu et al. 2017, section 3): before it is folded."""
    votes = []
    for member in group.members:
        node, index = evidence.operands.get(member.value, (None, -1))
        if node is not None and node.op_type == "BatchNormalization" and index == 1:
            scale = np.abs(np.asarray(evidence.constant(member.value), np.float64))
            votes.append(scale[member.index].sum(axis=1))
    return votes


def random(evidence: Evidence, group: Group) -> list[Vector]:
    """Uniform numbers: what a criterion must beat. They depend on the seed and the group's name only."""
    return [np.random.default_rng([evidence.seed, zlib.crc32(group.name.encode())]).random(group.size)]


def _energy(rows: Array, places: Ids) -> Vector:
    energy: Vector = np.einsum("pr,pr->p", rows, rows)[places].sum(axis=1, dtype=np.float64)
    return energy


def _distances(filters: Vector) -> Vector:
    squares = np.square(filters).sum(axis=1)
    gram = squares[:, None] + squares[None, :] - 2 * filters @ filters.T
    total: Vector = np.sqrt(np.maximum(gram, 0)).sum(axis=1)
    return total


def _share_of_survivors(energy: Vector) -> Vector:
    order = np.argsort(energy, kind="stable")
    survivors = np.cumsum(energy[order][::-1])[::-1]
    score = np.empty_like(energy)
    score[order] = energy[order] / np.maximum(survivors, np.finfo(np.float64).tiny)
    return score
