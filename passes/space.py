"""What may be searched: the groups and layers of one model, restricted to what one target runs. Agents only read it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from galen.ir import Model, Node
from galen.ir.costs import LayerCosts, layer_costs
from galen.ir.coupling import Coupling, Weight, couple
from galen.ir.coupling.operands import Dims, dims_of
from galen.ir.digest import digest
from galen.ir.edit import all_nodes, attribute
from galen.ir.shapes import Shapes
from galen.passes.policy import FP32, Bits, Keep, Policy

LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators whose widths are searched, where a weight is constant."""


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
    """Everything an agent may decide for one model on one target.

    Attributes:
        digest, target, criterion, seed: what a policy of this space says of itself, so that it can be applied alone.
    """

    groups: tuple[GroupRange, ...]
    layers: tuple[LayerRange, ...]
    digest: str = ""
    target: str = ""
    criterion: str = "l1"
    seed: int = 0

    def legal(self, policy: Policy) -> Policy:
        """Return the nearest policy of this space: unknown names dropped, counts and widths rounded to legal ones."""
        groups = {
            g.name: Keep(g.nearest(policy.groups[g.name].keep) if g.name in policy.groups else g.size, g.size)
            for g in self.groups
        }
        layers = {a.name: _nearest(policy.layers.get(a.name, FP32), a.widths) for a in self.layers}
        return Policy(groups, layers, self.digest, self.target, self.criterion, self.seed)

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


def space_of(model: Model, limits: Limits | None = None, target_name: str = "", shapes: Shapes | None = None) -> Space:
    """Return what may be decided for `model` on a target.

    Args:
        model: after `simplify,fold-batchnorm`.
        limits: of the target; none: any channel count, fp32 only.
        target_name: what policies of the space are for.
        shapes: numbers for dynamic inputs, by name.

    Raises:
        GalenError: a dimension that costs depend on is not set.
    """
    limits = limits or Limits()
    coupling = couple(model)
    groups = tuple(GroupRange(group.name, group.size, _counts(group.size, limits)) for group in coupling.groups)
    costs = {layer.name: layer for layer in layer_costs(model, shapes)}
    shares = _shares(coupling)
    nodes = {node.name: node for node in all_nodes(model)}
    layers = []
    for weight in coupling.weights:
        node, cost = nodes.get(weight.layer), costs.get(weight.layer)
        if node is not None and cost is not None and weight.op in LAYERS:
            layers.append(_layer(node, cost, weight, shares, limits))
    return Space(groups, tuple(layers), digest(model), target_name)


def _counts(size: int, limits: Limits) -> tuple[int, ...]:
    """Return the legal numbers of channels kept: multiples where the group is wide enough, always the whole."""
    step = limits.channel_multiple if size >= limits.channel_multiple else 1
    least = min(max(limits.minimum_channels, step), size)
    return tuple(sorted({count for count in range(step, size + 1, step) if count >= least} | {size}))


_Shares = dict[tuple[str, int], dict[str, int]]
"""How many places of an axis belong to each group, by (value, axis)."""


def _shares(coupling: Coupling) -> _Shares:
    shares: _Shares = {}
    for group in coupling.groups:
        for member in group.members:
            shares.setdefault((member.value, member.axis), {})[group.name] = member.index.size
    return shares


def _layer(node: Node, cost: LayerCosts, weight: Weight, shares: _Shares, limits: Limits) -> LayerRange:
    """Return a layer's range. Of a grouped convolution, channels are those of all groups, on both sides."""
    groups = attribute(node, "group", 1)
    spread = groups if node.op_type == "Conv" else 1
    out_spread = groups if node.op_type == "ConvTranspose" else 1
    lengths = dims_of(node.inputs[weight.index]) or ()
    return LayerRange(
        name=cost.name,
        op=node.op_type,
        macs=cost.macs,
        parameters=cost.parameters,
        out_channels=_length(lengths, weight.out_axis) * out_spread,
        in_channels=_length(lengths, weight.in_axis) * spread,
        kernel=_length(lengths, 2) if len(lengths) > 2 and "Conv" in node.op_type else 1,
        stride=(attribute(node, "strides") or [1])[0] if "Conv" in node.op_type else 0,
        outputs=_scaled(shares.get((weight.operand, weight.out_axis), {}), out_spread),
        inputs=_scaled(shares.get((weight.operand, weight.in_axis), {}), spread),
        widths=tuple(sorted({FP32, *limits.widths.get(node.op_type, ())})),
    )


def _length(lengths: Dims, axis: int) -> int:
    length = lengths[axis]
    return length if isinstance(length, int) else 1


def _scaled(counts: Mapping[str, int], factor: int) -> dict[str, int]:
    return {name: count * factor for name, count in counts.items()}
