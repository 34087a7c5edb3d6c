"""Criteria from the gradients of a loss on data.

A channel's gate multiplies it wherever it is read. The derivative of the loss by that gate is the sum of activation
times gradient over samples and positions, which for a linear reader equals the sum of weight times gradient over the
weights that read the channel: gradients of weights are all that is needed, whatever the group.
"""

import numpy as np

from galen.ir.coupling import Group
from galen.passes.criteria.evidence import Evidence, Vector


def taylor(evidence: Evidence, group: Group) -> list[Vector]:
    """Squared derivative of the loss by the group's gate, mean over minibatches (Molchanov et al. 2019, equation 8)."""
    products = evidence.gradients.products
    gates = [products[axis][:, m.index].sum(axis=2) for axis, m in evidence.gates(group) if axis in products]
    return [np.square(np.sum(gates, axis=0)).mean(axis=0)] if gates else []


def hessian(evidence: Evidence, group: Group) -> list[Vector]:
    """Half the squared weights times curvature, taken from squared gradients (LeCun et al. 1990, equation 5)."""
    curvature = evidence.gradients.curvature
    parts = [curvature[axis][m.index].sum(axis=1) / 2 for axis, m in evidence.gates(group) if axis in curvature]
    return [np.sum(parts, axis=0)] if parts else []
