"""How much each layer minds each single change: KL divergence of the outputs, on unlabelled data.

Galen (arXiv 2212.07818, code): for every layer, parameter and ratio 0, 0.1, ..., 0.9 that one change is applied to the
pristine network, and KL(p_ref || p_changed) is averaged over samples. Running networks is the caller's: `measure` sees
only a function from policies to log-probabilities.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from galen.agents import actions
from galen.passes.policy import FP32, INT8, Bits, Keep, Policy
from galen.passes.space import LayerRange, Space

RATIOS = tuple(i / 10 for i in range(10))
REFERENCE_BITS = 8

Probe = Callable[[Policy], np.ndarray]
"""Log-probabilities `[samples, classes]` of the network under a policy."""


@dataclass(frozen=True)
class Sensitivity:
    """KL divergences in nats. What a layer does not support is absent.

    Attributes:
        sparsity: by group, one value per ratio.
        activation, weight: by layer, one value per ratio of `REFERENCE_BITS` (the other operand at 8 bits).
        int8: by layer.
        chance: of a network that gives every sample the same answer, the mean of the original's; 0: unknown.
    """

    sparsity: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    activation: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    weight: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    int8: Mapping[str, float] = field(default_factory=dict)
    chance: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "sparsity": {k: list(v) for k, v in self.sparsity.items()},
            "activation": {k: list(v) for k, v in self.activation.items()},
            "weight": {k: list(v) for k, v in self.weight.items()},
            "int8": dict(self.int8),
            "chance": self.chance,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Sensitivity":
        """Read what `to_json` returned."""
        curves = {key: {k: tuple(v) for k, v in data[key].items()} for key in ("sparsity", "activation", "weight")}
        return cls(**curves, int8=dict(data["int8"]), chance=data.get("chance", 0.0))


def divergence(reference: np.ndarray, changed: np.ndarray) -> float:
    """Return the mean over samples of KL(p || q) in nats, from log-probabilities `[samples, classes]`."""
    per_sample = (np.exp(reference) * (reference - changed)).sum(axis=-1)
    return float(max(per_sample.mean(), 0.0))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def measure(space: Space, probe: Probe) -> Sensitivity:
    """Probe every group and layer of `space`, each distinct change to a legal count or width of one operand once.

    Widths of the two operands are probed apart, with 8 bits for the other, whether or not the target runs that pair.
    """
    seen: dict[str, float] = {}
    reference = probe(Policy())

    def kl(change: Policy) -> float:
        if all(kept.keep == kept.of for kept in change.groups.values()) and not change.layers:
            return 0.0
        key = str(change)
        if key not in seen:
            seen[key] = divergence(reference, probe(change))
        return seen[key]

    sparsity = {
        group.name: tuple(
            kl(Policy(groups={group.name: Keep(actions.channels(ratio, group.counts), group.size)})) for ratio in RATIOS
        )
        for group in space.groups
        if len(group.counts) > 1
    }
    integer = {a.name: kl(_one(a, INT8)) for a in space.layers if INT8 in a.widths}
    activation: dict[str, tuple[float, ...]] = {}
    weight: dict[str, tuple[float, ...]] = {}
    for layer in filter(_narrow, space.layers):
        weights = sorted({pair.weight_bits for pair in layer.widths if pair.weight_bits <= REFERENCE_BITS})
        activations = sorted({pair.activation_bits for pair in layer.widths if pair.activation_bits <= REFERENCE_BITS})
        weight[layer.name] = tuple(kl(_one(layer, Bits(_bits(r, weights), 8))) for r in RATIOS)
        activation[layer.name] = tuple(kl(_one(layer, Bits(8, _bits(r, activations)))) for r in RATIOS)
    return Sensitivity(sparsity, activation, weight, integer, _chance(reference))


def _chance(reference: np.ndarray) -> float:
    same = np.log(np.exp(reference).mean(axis=0, keepdims=True).clip(1e-30))
    return divergence(reference, np.broadcast_to(same, reference.shape))


def _one(layer: LayerRange, bits: Bits) -> Policy:
    return Policy(layers={layer.name: bits})


def _narrow(layer: LayerRange) -> bool:
    return any(pair not in (FP32, INT8) and pair.weight_bits <= 8 for pair in layer.widths)


def _bits(ratio: float, known: Sequence[int]) -> int:
    """Return the width at `ratio`, rounded up to one that the layer knows for this operand."""
    asked = actions.width(0.5 + ratio / 2, REFERENCE_BITS)
    return next((bits for bits in known if bits >= asked), REFERENCE_BITS)
