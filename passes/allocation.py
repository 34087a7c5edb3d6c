"""How many channels of every group stay."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

import numpy as np

from galen.ir import GalenError
from galen.ir.coupling import Coupling, Group
from galen.passes.criteria import Vector
from galen.passes.policy import Policy

Counts = dict[str, int]
_HALVINGS = 10


@dataclass(frozen=True)
class Rules:
    """What a count must obey.

    Attributes:
        round_to: counts are multiples of this where the group is at least as wide, rounded up.
        min_channels: fewer are never left.
        exclude: patterns of names of groups and layers that stay whole.
        ratios: sparsities of their own by pattern; the first that fits counts.
    """

    round_to: int = 1
    min_channels: int = 1
    exclude: tuple[str, ...] = ()
    ratios: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def sparsity(self, group: Group, default: float) -> float:
        """Return the share of channels that a group is to lose."""
        names = (group.name, *group.producers)
        if _fits(names, self.exclude):
            return 0.0
        return next((share for pattern, share in self.ratios.items() if _fits(names, (pattern,))), default)

    def nearest(self, group: Group, keep: float) -> int:
        """Return the legal count nearest to `keep`, or the next larger multiple."""
        step = self.round_to if group.size >= self.round_to else 1
        count = int(np.floor(keep + 0.5)) if step == 1 else int(np.ceil(keep / step - 1e-9)) * step
        return int(np.clip(count, min(max(self.min_channels, step), group.size), group.size))


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def local_counts(groups: Sequence[Group], sparsity: float, rules: Rules) -> Counts:
    """Take the same share of every group."""
    return {g.name: rules.nearest(g, g.size * (1 - rules.sparsity(g, sparsity))) for g in groups}


def global_counts(groups: Sequence[Group], sparsity: float, rules: Rules, scores: Mapping[str, Vector]) -> Counts:
    """Take the lowest scores of all groups together until their share of all channels is reached."""
    free = [group for group in groups if rules.sparsity(group, sparsity) > 0]
    counts = {group.name: group.size for group in groups}
    if not free:
        return counts
    spare = [group.size - rules.nearest(group, 0) for group in free]
    ranked = np.concatenate([np.sort(scores[g.name])[:count] for g, count in zip(free, spare, strict=True)])
    owner = np.repeat(np.arange(len(free)), spare)
    goal = round(sparsity * sum(group.size for group in groups))
    for place in owner[np.argsort(ranked, kind="stable")[:goal]].tolist():
        counts[free[place].name] -= 1
    return {group.name: rules.nearest(group, counts[group.name]) for group in groups}


def policy_counts(policy: Policy, coupling: Coupling) -> Counts:
    """Take what a policy says.

    Raises:
        GalenError: it names a group that the model does not have, or gives it another width.
    """
    sizes = {group.name: group.size for group in coupling.groups}
    for name, keep in policy.groups.items():
        if name not in sizes:
            raise GalenError(f"the model has no group {name!r}", where="policy", hint="was it made for another model?")
        if keep.of != sizes[name]:
            raise GalenError(f"group {name!r} has {sizes[name]} channels, not {keep.of}", where="policy")
    return {name: policy.groups[name].keep if name in policy.groups else size for name, size in sizes.items()}


def counts_within(share: float, allocate: Callable[[float], Counts], removed: Callable[[Counts], float]) -> Counts:
    """Take the smallest sparsity that removes a share of some cost, by bisection.

    Args:
        share: of the cost that must go.
        allocate: returns the counts of a sparsity; more sparsity, fewer channels.
        removed: returns the share of the cost that counts remove.

    Raises:
        GalenError: even the highest sparsity does not remove the share.
    """
    low, high = 0.0, 1.0 - 2.0**-_HALVINGS
    if removed(allocate(high)) < share:
        raise GalenError(f"cutting channels cannot remove {share:.0%}", where="prune", hint="ask for less")
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if removed(allocate(middle)) >= share else (middle, high)
    return allocate(high)
