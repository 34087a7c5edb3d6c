"""Criteria from what the layers that read a group see of it on data."""

import numpy as np
from numpy.typing import NDArray

from galen.ir.coupling import Group
from galen.passes.criteria.activations import patches
from galen.passes.criteria.evidence import Evidence, Reader, Vector


def activation(evidence: Evidence, group: Group) -> list[Vector]:
    """Absolute weights that read a channel, times its root mean square (Sun et al. 2024, equation 1, by channel)."""
    votes = []
    for reader in evidence.readers(group):
        if (seen := _seen(evidence, reader)) is not None:
            strength = np.sqrt(np.square(seen, dtype=np.float64).mean(axis=(0, 2)))
            magnitude = np.abs(reader.rows).sum(axis=1, dtype=np.float64)
            votes.append((strength * magnitude)[reader.member.index].sum(axis=1))
    return votes


def reconstruction(evidence: Evidence, group: Group) -> list[Vector]:
    """Error that removing a channel adds to what the next layers compute, in the order of least error first.

    Removing the set S changes their outputs by an energy of 1_S' G 1_S, G the Gram matrix of the channels'
    contributions (Hu et al. 2018, section 3). Channels leave greedily; a score is the energy when its channel has left.
    """
    grams = [gram for reader in evidence.readers(group) if (gram := gram_matrix(evidence, reader)) is not None]
    return [elimination(np.sum(grams, axis=0))] if grams else []


def gram_matrix(evidence: Evidence, reader: Reader) -> NDArray[np.float64] | None:
    """Return the inner products of the channels' contributions to a reader's output, mean over positions."""
    seen = _seen(evidence, reader)
    if seen is None:
        return None
    weight = reader.rows.reshape(reader.member.length, -1, seen.shape[2])
    index = reader.member.index
    parts = [
        np.einsum("pmt,mot->po", seen[:, places].astype(np.float64), weight[places], optimize=True) for places in index
    ]
    stacked = np.stack(parts).reshape(len(index), -1)
    gram: NDArray[np.float64] = stacked @ stacked.T / len(seen)
    return gram


def elimination(gram: NDArray[np.float64]) -> Vector:
    """Return the energy m'Gm at which each channel leaves when always the one that costs least goes next."""
    size = len(gram)
    energy, cross = 0.0, np.zeros(size)
    score = np.full(size, np.inf)
    for _ in range(size):
        cost = np.where(np.isinf(score), np.diag(gram) + 2 * cross, np.inf)
        leaving = int(np.argmin(cost))
        energy = max(energy, energy + float(cost[leaving]))
        score[leaving] = energy
        cross += gram[leaving]
    return score


def _seen(evidence: Evidence, reader: Reader) -> NDArray[np.floating] | None:
    node = evidence.nodes[reader.weight.layer]
    source = node.inputs[1 - reader.weight.index]
    data = evidence.read.get(str(source.name)) if source is not None else None
    return None if data is None else patches(node, reader.weight.index, data)
