"""Remove channels, so that tensors shrink: how many of each group, which ones, and the cut.

The pieces can be called apart: `select(model, coupling, ...)` returns a `Cut`, `apply_cut(model, cut)` carries it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

import numpy as np

from galen.ir import GalenError, Model, Samples, UsageError
from galen.ir.coupling import Coupling, Cut, Group, apply_cut, couple
from galen.ir.edit import all_nodes
from galen.passes import origin
from galen.passes.base import Pass, bound
from galen.passes.criteria import Aggregate, CriterionName, Evidence, Normalise, Vector, comparable, score
from galen.passes.policy import Policy
from galen.passes.simplify import Simplify


@dataclass(frozen=True)
class Prune(Pass, name="prune"):
    """Remove the least important channels of every group that can be cut.

    Either `sparsity` or `policy` says how many.

    Attributes:
        sparsity: share of channels to remove, of every group, or of all together if `global`.
        policy: channels kept by group name.
        criterion: what makes a channel important.
        aggregate: how the layers of a group agree on its channels.
        normalise: how groups are made comparable for a global ranking.
        global: rank the channels of all groups together.
        round_to: channel counts are multiples of this where the group is at least as wide.
        min_channels: fewer are never left.
        exclude: names or patterns (`layer1*`) of groups and layers that stay whole.
        ratios: other sparsities by name or pattern of group or layer; the first that fits counts.
    """

    sparsity: float | None = None
    policy: Policy | None = None
    criterion: CriterionName | None = None
    aggregate: Aggregate = "sum"
    normalise: Normalise = "auto"
    global_: bool = False
    round_to: int = 1
    min_channels: int = 1
    exclude: tuple[str, ...] = ()
    ratios: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    data: Samples | None = bound("data")
    train_data: Samples | None = bound("train_data")
    seed: int | None = bound("seed")

    def __post_init__(self) -> None:
        if (self.sparsity is None) == (self.policy is None):
            raise UsageError("prune takes either sparsity or policy")
        for share in (self.sparsity or 0, *self.ratios.values()):
            if not 0 <= share < 1:
                raise UsageError(f"sparsity {share} is not a share from 0 to below 1")
        if min(self.round_to, self.min_channels) < 1:
            raise UsageError("round-to and min-channels are at least 1")

    def apply(self, model: Model, /) -> bool:
        """Return whether a channel was removed.

        Raises:
            GalenError: the policy is for another model.
        """
        if any(node.op_type == "Shape" for node in all_nodes(model)):
            Simplify().apply(model)  # lengths that are computed hide what they tie
        cut = self.cut(model)
        origin.stamp(model)
        return apply_cut(model, cut)

    def cut(self, model: Model) -> Cut:
        """Return what would be kept, without removing anything."""
        coupling = couple(model)
        if self.policy is not None:
            origin.check(self.policy, model)
        criterion = self.criterion or (self.policy.criterion if self.policy is not None else "l1")
        evidence = Evidence(model, coupling, self.train_data or self.data, self._seed())
        scores = {
            group.name: comparable(score(evidence, group, criterion, self.aggregate), criterion, self.normalise)
            for group in coupling.groups
        }
        return select(coupling, scores, self.counts(coupling, scores))

    def counts(self, coupling: Coupling, scores: Mapping[str, Vector]) -> dict[str, int]:
        """Return how many channels of every group stay."""
        if self.policy is not None:
            return policy_counts(self.policy, coupling)
        if self.global_:
            return self._global_counts(coupling, scores)
        return {group.name: self._legal(group, group.size * (1 - self._share(group))) for group in coupling.groups}

    def _seed(self) -> int:
        return self.seed if self.seed is not None else self.policy.seed if self.policy is not None else 0

    def _share(self, group: Group) -> float:
        """Return the sparsity that the options ask of a group."""
        names = (group.name, *group.producers)
        if any(fnmatchcase(name, pattern) for name in names for pattern in self.exclude):
            return 0.0
        fitting = (share for pattern, share in self.ratios.items() if any(fnmatchcase(name, pattern) for name in names))
        return next(fitting, self.sparsity or 0.0)

    def _legal(self, group: Group, keep: float) -> int:
        """Return the nearest count that the options allow."""
        step = self.round_to if group.size >= self.round_to else 1
        count = round(keep) if step == 1 else int(np.ceil(keep / step - 1e-9)) * step
        return int(np.clip(count, min(max(self.min_channels, step), group.size), group.size))

    def _global_counts(self, coupling: Coupling, scores: Mapping[str, Vector]) -> dict[str, int]:
        """Remove the lowest scores of all groups together."""
        counts = {group.name: group.size for group in coupling.groups}
        free = [group for group in coupling.groups if self._share(group) > 0]
        if not free:
            return counts
        floor = {group.name: self._legal(group, 0) for group in free}
        ranked = np.concatenate([np.sort(scores[g.name])[: g.size - floor[g.name]] for g in free])
        owner = np.repeat(np.arange(len(free)), [g.size - floor[g.name] for g in free])
        goal = round((self.sparsity or 0) * sum(group.size for group in coupling.groups))
        for group in owner[np.argsort(ranked, kind="stable")[:goal]].tolist():
            counts[free[group].name] -= 1
        return {group.name: self._legal(group, counts[group.name]) for group in coupling.groups}


def select(coupling: Coupling, scores: Mapping[str, Vector], counts: Mapping[str, int]) -> Cut:
    """Return the cut that keeps the `counts` best channels of every group; of equals the first."""
    best = {name: np.argsort(-scores[name], kind="stable")[:count] for name, count in counts.items()}
    return coupling.cut({name: np.sort(channels) for name, channels in best.items()})


def policy_counts(policy: Policy, coupling: Coupling) -> dict[str, int]:
    """Return how many channels of every group a policy keeps.

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
