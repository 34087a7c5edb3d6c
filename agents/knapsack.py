"""No search: multiple-choice knapsack of sensitivity against predicted latency.

Every group and every layer is a class of which one choice is taken; a choice costs milliseconds and KL divergence
(the allocator of ADMM-based compression, Ye et al., with measured latency in place of model size).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from galen.agents.budget import Aim
from galen.agents.problem import Problem
from galen.agents.searcher import Outcome
from galen.agents.sensitivity import RATIOS, REFERENCE_BITS
from galen.agents.walk import ACTIVATION, SPARSITY, WEIGHT, Walk
from galen.passes.policy import FP32, INT8, Bits, Keep, Policy
from galen.passes.space import GroupRange

GRID = 2000
"""Steps that the budget is divided into for dynamic programming."""


class Choice(NamedTuple):
    """One way to treat one group or layer: what it costs and what it loses."""

    cost: float
    loss: float


def solve(classes: Sequence[Sequence[Choice]], budget: float) -> list[int] | None:
    """Return the index of the choice per class with the least total loss within `budget`, None: nothing fits.

    Dynamic programming over costs rounded up to budget / `GRID` (Kellerer et al. 2004, section 11.5): never above the
    budget, at most the rounding away from the optimum.
    """
    floor = [min(choice.cost for choice in options) for options in classes]
    slack = budget - sum(floor)
    if slack < 0:
        return None
    unit = max(slack / GRID, 1e-12)
    least = np.zeros(GRID + 1)
    taken = np.zeros((len(classes), GRID + 1), dtype=np.int32)
    for i, options in enumerate(classes):
        best = np.full(GRID + 1, np.inf)
        for j, choice in enumerate(options):
            steps = int(np.ceil((choice.cost - floor[i]) / unit - 1e-9))
            if steps > GRID:
                continue
            total = np.full(GRID + 1, np.inf)
            total[steps:] = least[: GRID + 1 - steps] + choice.loss
            taken[i] = np.where(total < best, j, taken[i])
            best = np.minimum(best, total)
        least = best
    chosen, left = [0] * len(classes), GRID
    for i in reversed(range(len(classes))):
        chosen[i] = int(taken[i, left])
        left -= int(np.ceil((classes[i][chosen[i]].cost - floor[i]) / unit - 1e-9))
    return chosen


@dataclass
class Knapsack:
    """Proposes the allocation for the budget, then for budgets around it that fall ever further away."""

    problem: Problem
    _aim: Aim = field(init=False, repr=False)
    _asked: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._aim = Aim(self.problem, Walk.of(self.problem.space, (SPARSITY, ACTIVATION, WEIGHT)))

    def ask(self) -> Policy:
        """Return the next allocation: 100 %, 99 %, 98 %, ... of the budget."""
        share = max(1 - 0.01 * self._asked, 0.05)
        self._asked += 1
        return allocate(self.problem, share * self._aim.budget_ms)

    def tell(self, policy: Policy, outcome: Outcome) -> None:  # noqa: ARG002
        """Remember the best outcome: with an accuracy bound, the budget follows it."""
        self._aim.saw(outcome)

    def state(self) -> dict[str, Any]:
        """Return how many were asked, and the aim."""
        return {"asked": self._asked, "aim": self._aim.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._asked = state["asked"]
        self._aim.load(state["aim"])


def allocate(problem: Problem, budget_ms: float) -> Policy:
    """Return the policy with the least summed sensitivity whose predicted latency is within `budget_ms`.

    Savings of neighbouring cuts multiply instead of adding up, so the budget of the additive problem is bisected until
    the prediction of the whole policy meets the one that was asked for. When nothing meets it, the fastest.
    """
    policies = _options(problem)
    whole = problem.predict(problem.space.legal(Policy()))
    classes = [[Choice(problem.predict(policy) - whole, loss) for policy, loss in options] for options in policies]
    fastest = [min(range(len(c)), key=lambda j, c=c: c[j].cost) for c in classes]  # type: ignore[misc]
    low, high = sum(c[j].cost for c, j in zip(classes, fastest, strict=True)), 0.0
    best = _merge(problem, policies, fastest)
    for _ in range(20):
        middle = (low + high) / 2
        chosen = solve(classes, middle)
        policy = best if chosen is None else _merge(problem, policies, chosen)
        if chosen is not None and problem.predict(policy) <= budget_ms:
            best, low = policy, middle
        else:
            high = middle
    return best


def _options(problem: Problem) -> list[list[tuple[Policy, float]]]:
    """Return classes of policies, each with its KL divergence: one class per layer, one per further group.

    What a layer's first group keeps and how wide the layer is are one choice, because their savings multiply.
    """
    walk = Walk.of(problem.space, (SPARSITY, ACTIVATION, WEIGHT))
    found = []
    for step in walk.steps:
        cuts = [_cuts(problem, group) for group in step.groups] or [[(Policy(), 0.0)]]
        widths = [
            (Policy(layers={step.layer.name: bits}), _width_loss(problem, step.layer.name, bits))
            for bits in step.layer.widths
        ]
        joint = [
            (replace(cut, layers=wide.layers), lost + rounded) for cut, lost in cuts[0] for wide, rounded in widths
        ]
        found += [joint, *cuts[1:]]
    return [[(problem.space.legal(policy), loss) for policy, loss in options] for options in found]


def _cuts(problem: Problem, group: GroupRange) -> list[tuple[Policy, float]]:
    curve = problem.sensitivity.sparsity.get(group.name, tuple(RATIOS))
    return [
        (Policy(groups={group.name: Keep(count, group.size)}), _at(curve, 1 - count / group.size))
        for count in group.counts
    ]


def _width_loss(problem: Problem, layer: str, bits: Bits) -> float:
    sensitivity = problem.sensitivity
    if bits.weight_bits > 8:
        return 0.0
    if bits == INT8:
        return sensitivity.int8.get(layer, 0.01)
    sides = ((sensitivity.activation, bits.activation_bits), (sensitivity.weight, bits.weight_bits))
    return sum(_at(curve.get(layer, tuple(RATIOS)), 1 - width / REFERENCE_BITS) for curve, width in sides)


def _at(curve: Sequence[float], ratio: float) -> float:
    return float(np.interp(ratio, RATIOS, np.maximum.accumulate(curve)))


def _merge(problem: Problem, policies: list[list[tuple[Policy, float]]], chosen: Sequence[int]) -> Policy:
    """Return the policy that makes all chosen changes."""
    whole = problem.space.legal(Policy())
    groups, layers = dict(whole.groups), dict(whole.layers)
    for options, index in zip(policies, chosen, strict=True):
        policy = options[index][0]
        groups |= {name: kept for name, kept in policy.groups.items() if kept.keep < kept.of}
        layers |= {name: bits for name, bits in policy.layers.items() if bits != FP32}
    return replace(whole, groups=groups, layers=layers)
