"""Remove channels, so that tensors shrink: how many of each group, which ones, and the cut.

The pieces can be called apart: `rank(...)` scores the channels, `select(...)` makes a `Cut` of scores and counts,
`galen.ir.coupling.apply_cut(model, cut)` carries it out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np

from galen.ir import DataType, GalenError, Model, Node, Samples, UsageError
from galen.ir.clone import clone
from galen.ir.costs import costs
from galen.ir.coupling import Coupling, Cut, apply_cut, couple
from galen.ir.edit import all_nodes, const_tensor
from galen.ir.shapes import Shapes
from galen.ir.user_code import FORM, load_function
from galen.passes import origin
from galen.passes.allocation import Counts, Rules, counts_within, global_counts, local_counts, policy_counts
from galen.passes.base import Pass, bound
from galen.passes.criteria import Aggregate, CriterionName, Evidence, Normalise, Vector, comparable, score
from galen.passes.criteria import find as find_criterion
from galen.passes.policy import Policy
from galen.passes.recover import Reconstruction, Statistics
from galen.passes.simplify import Simplify
from galen.passes.space import Limits

_SHARES = ("channels", "parameters", "macs")


@dataclass(frozen=True)
class Prune(Pass, name="prune"):
    """Remove the least important channels of every group that can be cut.

    Either `sparsity` or `policy` says how many.

    Attributes:
        sparsity: share to remove, of the channels of every group, or of all channels together if `global`.
        of: what `sparsity` is a share of: of channels, of the parameters or MACs of all layers, or of what a function
            of yours, `module:function`, says that a model costs (its latency).
        policy: channels kept by group name.
        criterion: what makes a channel important; other packages may bring more.
        aggregate: how the layers of a group agree on its channels.
        normalise: how groups are made comparable for a global ranking.
        global: rank the channels of all groups together.
        steps: cut in this many steps, each removing the same share of what is left, and judge anew before each.
        heads: cut whole heads of attention where they can be, instead of dimensions of all heads.
        round_to: channel counts are multiples of this where the group is at least as wide; 1: of what `limits` say.
        min_channels: fewer are never left; 1: than what `limits` say.
        exclude: names or patterns (`layer1*`) of groups and layers that stay whole.
        ratios: other sparsities by name or pattern of group or layer; the first that fits counts.
        recover: what is re-estimated on data afterwards: channel statistics (those of BatchNormalization where there
            is one), or every layer by least squares. Without it the cut model computes what its mask does.
        limits: what the target that the model is for asks of channel counts.
    """

    sparsity: float | None = None
    of: Literal["channels", "parameters", "macs"] | str = "channels"
    policy: Policy | None = None
    criterion: CriterionName | str | None = None
    aggregate: Aggregate = "sum"
    normalise: Normalise = "auto"
    global_: bool = False
    steps: int = 1
    heads: bool = False
    round_to: int = 1
    min_channels: int = 1
    exclude: tuple[str, ...] = ()
    ratios: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    recover: Literal["none", "statistics", "reconstruction"] = "none"
    data: Samples | None = bound("data")
    train_data: Samples | None = bound("train_data")
    shapes: Shapes | None = bound("shapes")
    limits: Limits | None = bound("limits")
    seed: int | None = bound("seed")

    def __post_init__(self) -> None:
        if (self.sparsity is None) == (self.policy is None):
            raise UsageError("prune takes either sparsity or policy")
        if self.criterion is not None:
            find_criterion(self.criterion)
        if self.of not in _SHARES and not FORM.fullmatch(self.of):
            raise UsageError(f"unknown cost {self.of!r}", where="of", hint=f"{', '.join(_SHARES)} or module:function")
        for share in (self.sparsity or 0, *self.ratios.values()):
            if not 0 <= share < 1:
                raise UsageError(f"sparsity {share} is not a share from 0 to below 1")
        if min(self.round_to, self.min_channels, self.steps) < 1:
            raise UsageError("round-to, min-channels and steps are at least 1")
        if self.policy is not None and self.steps > 1:
            raise UsageError("a policy is cut in one step")

    def apply(self, model: Model, /) -> bool:
        """Return whether a channel was removed.

        Raises:
            GalenError: the policy is for another model, the criterion needs data, or the share cannot be removed.
        """
        if any(_computes_lengths(node) for node in all_nodes(model)):
            Simplify().apply(model)  # lengths that are computed hide what they tie
        whole = model if self.recover == "none" else clone(model)
        origin.stamp(model, self.policy)
        cut = self._cut_in_steps(model)
        if cut and self.recover != "none":
            self._repair(model, whole, cut)
        return bool(cut)

    def cut(self, model: Model) -> Cut:
        """Return what would be kept, without removing anything; see `apply` for what it raises.

        Of several steps it says what they keep together; only a cut in one step can be applied by `apply_cut`.
        """
        return self._cut_once(model) if self.steps == 1 else self._cut_in_steps(clone(model))

    def _cut_in_steps(self, model: Model) -> Cut:
        """Cut `model` and return what all steps together keep."""
        total = Cut()
        for _ in range(self.steps):
            part = self._cut_once(model)
            apply_cut(model, part)
            total = total.then(part)
        return total

    def explain(self, model: Model, /) -> Iterator[str]:
        """Yield, per group, how many channels go and which layers lose them; then what stays of every layer and why."""
        coupling, cut = self._couple(model), self.cut(model)
        for group in coupling.groups:
            gone = group.size - len(cut.groups.get(group.name, range(group.size)))
            yield f"cut {gone} of {group.size} channels of {group.name}: {', '.join(group.producers)}"
        for part in coupling.frozen:
            yield f"keep {part.channels} channels of {part.layer}: {part.reason}"

    def _repair(self, model: Model, whole: Model, cut: Cut) -> None:
        samples = self.train_data or self.data
        if samples is None:
            raise GalenError("recover needs data", where="prune", hint="--train-data or --data")
        if self.recover == "statistics":
            Statistics(whole, samples).match(model, cut)
        else:
            Reconstruction(whole, samples).fit(model, cut)

    def _couple(self, model: Model) -> Coupling:
        return couple(model, heads=self.heads)

    def _cut_once(self, model: Model) -> Cut:
        if self.policy is not None:
            origin.check(self.policy, model)
        coupling = self._couple(model)
        scores = self._rank(model, coupling)
        return select(coupling, scores, self._counts(model, coupling, scores))

    def _rank(self, model: Model, coupling: Coupling) -> dict[str, Vector]:
        criterion = self.criterion or (self.policy.criterion if self.policy is not None else "l1")
        seed = self.seed if self.seed is not None else self.policy.seed if self.policy is not None else 0
        evidence = Evidence(model, coupling, self.train_data or self.data, seed)
        return rank(evidence, criterion, self.aggregate, self.normalise)

    def _counts(self, model: Model, coupling: Coupling, scores: Mapping[str, Vector]) -> Counts:
        if self.policy is not None:
            return policy_counts(self.policy, coupling)
        limits = self.limits or Limits()
        multiple = self.round_to if self.round_to > 1 else limits.channel_multiple
        least = self.min_channels if self.min_channels > 1 else limits.minimum_channels
        rules = Rules(multiple, least, self.exclude, self.ratios)

        def allocate(sparsity: float) -> Counts:
            if self.global_:
                return global_counts(coupling.groups, sparsity, rules, scores)
            return local_counts(coupling.groups, sparsity, rules)

        share = 1 - (1 - (self.sparsity or 0)) ** (1 / self.steps)
        if self.of == "channels":
            return allocate(share)
        whole = self._cost(model)

        def removed(counts: Counts) -> float:
            smaller = clone(model)
            apply_cut(smaller, select(coupling, scores, counts))
            return 1 - self._cost(smaller) / whole if whole else 0.0

        return counts_within(share, allocate, removed)

    def _cost(self, model: Model) -> float:
        if self.of not in _SHARES:
            return float(load_function(self.of)(model))
        found = costs(model, self.shapes)
        return found.macs if self.of == "macs" else found.parameters


def _computes_lengths(node: Node) -> bool:
    """Whether a node asks for a shape, or computes with constants that may be one."""
    if node.op_type == "Shape":
        return True
    constants = [const_tensor(value) for value in node.inputs]
    return bool(constants) and all(each is not None and each.dtype == DataType.INT64 for each in constants)


def rank(
    evidence: Evidence, criterion: str = "l1", aggregate: Aggregate = "sum", normalise: Normalise = "auto"
) -> dict[str, Vector]:
    """Return the importance of the channels of every group, comparable between groups; see `galen.passes.criteria`."""
    return {
        group.name: comparable(score(evidence, group, criterion, aggregate), criterion, normalise)
        for group in evidence.coupling.groups
    }


def select(coupling: Coupling, scores: Mapping[str, Vector], counts: Mapping[str, int]) -> Cut:
    """Return the cut that keeps the `counts` best channels of every group; of equals the first."""
    best = {name: np.argsort(-scores[name], kind="stable")[:count] for name, count in counts.items()}
    return coupling.cut({name: np.sort(channels) for name, channels in best.items()})
