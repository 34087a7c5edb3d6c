"""What may be searched: the groups and layers of one model, restricted to what one target runs. Agents only read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from galen.passes.policy import FP32, Bits, Keep, Policy


@dataclass(frozen=True)
class Limits:
    """A target's restrictions.

    Attributes:
        channel_multiple: channel counts are multiples of this where the group is at least as wide.
        minimum_channels: never fewer than this (or the whole group when it is narrower).
        widths: operator type -> pairs of widths that the target runs; fp32 is always among them.
    """

    channel_multiple: int = 1
    minimum_channels: int = 1
    widths: Mapping[str, tuple[Bits, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupRange:
    """A set of channels that is cut as one. `counts` are the legal numbers of channels kept, ascending."""

    name: str
    size: int
    counts: tuple[int, ...]

    def nearest(self, keep: float) -> int:
        """Return the smallest legal count of at least `keep`, or the whole group."""
        return next((count for count in self.counts if count >= keep), self.size)


@dataclass(frozen=True)
class LayerRange:
    """A layer with weights, in execution order.

    Attributes:
        macs, parameters: of the uncut layer, one inference.
        outputs, inputs: channels of the weight's output and input axis by group name; what is in no group stays.
        widths: legal pairs of widths, fp32 among them.
    """

    name: str
    op: str
    macs: int
    parameters: int
    out_channels: int
    in_channels: int
    kernel: int
    stride: int
    outputs: Mapping[str, int]
    inputs: Mapping[str, int]
    widths: tuple[Bits, ...]


@dataclass(frozen=True)
class Space:
    """Everything an agent may decide for one model on one target."""

    groups: tuple[GroupRange, ...]
    layers: tuple[LayerRange, ...]
    digest: str = ""
    target: str = ""

    def legal(self, policy: Policy) -> Policy:
        """Return the nearest policy of this space: unknown names dropped, counts and widths rounded to legal ones."""
        groups = {
            g.name: Keep(g.nearest(policy.groups[g.name].keep) if g.name in policy.groups else g.size, g.size)
            for g in self.groups
        }
        layers = {a.name: _nearest(policy.layers.get(a.name, FP32), a.widths) for a in self.layers}
        return replace(policy, groups=groups, layers=layers, digest=self.digest, target=self.target)

    def share(self, channels: Mapping[str, int], total: int, policy: Policy) -> float:
        """Return the share of an axis of `total` channels that remains, given its channels by group."""
        removed = 0.0
        for name, count in channels.items():
            if kept := policy.groups.get(name):
                removed += count * (1 - kept.keep / kept.of)
        return 1 - removed / max(total, 1)

    def macs(self, layer: LayerRange, policy: Policy) -> float:
        """Return the multiply-accumulates of `layer` under `policy`."""
        return (
            layer.macs
            * self.share(layer.outputs, layer.out_channels, policy)
            * self.share(layer.inputs, layer.in_channels, policy)
        )

    def bops(self, layer: LayerRange, policy: Policy) -> float:
        """Return MACs x weight bits x activation bits (van Baalen et al. 2020, section 2)."""
        bits = policy.layers.get(layer.name, FP32)
        return self.macs(layer, policy) * bits.weight_bits * bits.activation_bits


def _nearest(bits: Bits, legal: tuple[Bits, ...]) -> Bits:
    """Return the cheapest legal pair at least as wide as asked in both numbers; fp32 when there is none."""
    wide = [
        pair for pair in legal if pair.weight_bits >= bits.weight_bits and pair.activation_bits >= bits.activation_bits
    ]
    return min(wide, key=lambda pair: (pair.weight_bits * pair.activation_bits, pair), default=FP32)
