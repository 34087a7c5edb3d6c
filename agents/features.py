"""What a layer-wise agent sees of a layer: the published state vectors (Galen, arXiv 2212.07818, code).

Costs are those of the network as compressed so far. `before` and `after` are shares of the whole network's.
"""

import math

import numpy as np

from galen.agents.sensitivity import RATIOS, Sensitivity
from galen.agents.walk import ACTIVATION, SPARSITY, WEIGHT, Step, Walk
from galen.passes.policy import Policy

_KL = {kind: tuple(f"kl_{kind}_{ratio}" for ratio in RATIOS) for kind in (SPARSITY, ACTIVATION, WEIGHT)}
_SHAPE = ("out_channels", "in_channels", "kernel", "stride")

PRUNE = ("index", "macs", *_SHAPE, "macs_before", "macs_after", *_KL[SPARSITY], "previous_sparsity")
QUANTIZE = (
    *("index", "bops", *_SHAPE, "bops_before", "bops_after", *_KL[ACTIVATION], *_KL[WEIGHT]),
    *("kl_int8", "kl_fp32", "previous_activation", "previous_weight"),
)
JOINT = (
    *("index", "macs", "bops", *_SHAPE, "parameters", "macs_before", "macs_after", "bops_before", "bops_after"),
    *(*_KL[SPARSITY], *_KL[ACTIVATION], *_KL[WEIGHT]),
    *("kl_int8", "kl_fp32", "previous_sparsity", "previous_activation", "previous_weight"),
)


def observe(
    walk: Walk, names: tuple[str, ...], sensitivity: Sensitivity, policy: Policy, step: Step, *, previous: np.ndarray
) -> np.ndarray:
    """Return the raw state `[len(names)]` at `step`; NaN where the layer does not support what the feature tells.

    Args:
        policy: what has been decided so far.
        previous: the action before this one, zeros at the first step.
    """
    known = {
        **_costs(walk, policy, step),
        **_divergences(sensitivity, step),
        **{f"previous_{name}": float(value) for name, value in zip(walk.parameters, previous, strict=True)},
    }
    return np.array([known.get(name, math.nan) for name in names])


def _costs(walk: Walk, policy: Policy, step: Step) -> dict[str, float]:
    space, layer = walk.space, step.layer
    at = space.layers.index(layer)
    macs = [space.macs(other, policy) for other in space.layers]
    bops = [space.bops(other, policy) for other in space.layers]
    out_share = space.share(layer.outputs, layer.out_channels, policy)
    in_share = space.share(layer.inputs, layer.in_channels, policy)
    return {
        "index": float(at),
        "macs": macs[at],
        "bops": bops[at],
        "out_channels": layer.out_channels * out_share,
        "in_channels": layer.in_channels * in_share,
        "kernel": float(layer.kernel),
        "stride": float(layer.stride),
        "parameters": layer.parameters * out_share * in_share,
        "macs_before": sum(macs[:at]) / max(sum(macs), 1.0),
        "macs_after": sum(macs[at + 1 :]) / max(sum(macs), 1.0),
        "bops_before": sum(bops[:at]) / max(sum(bops), 1.0),
        "bops_after": sum(bops[at + 1 :]) / max(sum(bops), 1.0),
    }


def _divergences(sensitivity: Sensitivity, step: Step) -> dict[str, float]:
    """KL features; where a step decides several groups, the sum over them."""
    name = step.layer.name
    curves = {
        SPARSITY: [sensitivity.sparsity[g.name] for g in step.groups if g.name in sensitivity.sparsity],
        ACTIVATION: [sensitivity.activation[name]] if name in sensitivity.activation else [],
        WEIGHT: [sensitivity.weight[name]] if name in sensitivity.weight else [],
    }
    found = {
        feature: float(value)
        for kind, rows in curves.items()
        if rows
        for feature, value in zip(_KL[kind], np.sum(rows, axis=0), strict=True)
    }
    if name in sensitivity.int8:
        found |= {"kl_int8": sensitivity.int8[name], "kl_fp32": 0.0}
    return found
