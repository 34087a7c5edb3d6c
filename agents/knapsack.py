"""No search: multiple-choice knapsack of sensitivity against predicted latency.

Every group and every layer is a class of which one choice is taken; a choice costs milliseconds and a loss (the
allocator of ADMM-based compression, Ye et al., with measured latency in place of model size). KL divergences do not add
up: a network that answers at random is at its worst however many layers are at fault. What adds up, if changes do their
harm independently, is -log of the share of the answer that each leaves standing; that is the loss.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from galen.agents.budget import Aim
from galen.agents.problem import Problem
from galen.agents.searcher import Outcome
from galen.agents.sensitivity import RATIOS, REFERENCE_BITS, Sensitivity
from galen.agents.walk import ACTIVATION, SPARSITY, WEIGHT, Walk
from galen.passes.policy import INT8, Bits, Keep, Policy
from galen.passes.space import GroupRange

_BEYOND = 1.02
"""How far a network that answers by chance is taken to be from the original, relative to the worst single change."""
_LEAST = 1e-6
"""What a change leaves standing when the network answers worse than by chance."""

_ROUNDS = 4
_BISECTIONS = 20

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

    def tell(self, policy: Policy, outcome: Outcome) -> None:
        """Remember the best outcome: with an accuracy bound, the budget follows it."""
        self._aim.saw(policy, outcome)

    def state(self) -> dict[str, Any]:
        """Return how many were asked, and the aim."""
        return {"asked": self._asked, "aim": self._aim.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._asked = state["asked"]
        self._aim.load(state["aim"])


def allocate(problem: Problem, budget_ms: float) -> Policy:
    """Return the policy with the least summed loss whose predicted latency is within `budget_ms`.

    Savings of neighbouring cuts multiply instead of adding up. So the additive problem is solved several times, each
    time with the savings that a change makes from the policy found before, and its budget is bisected until the
    prediction of the whole policy meets the one that was asked for. When nothing meets it, the fastest.
    """
    options = _options(problem)
    chosen = [0] * len(options)
    found: dict[tuple[int, ...], None] = {}
    for _ in range(_ROUNDS):
        chosen = _fill(problem, options, _allocate_from(problem, options, chosen, budget_ms), budget_ms)
        found[tuple(chosen)] = None

    def order(chosen: Sequence[int]) -> tuple[float, float]:
        excess = problem.predict(_merge(problem, options, chosen)) - budget_ms
        return max(excess, 0.0), sum(choices[j][1] for choices, j in zip(options, chosen, strict=True))

    return _merge(problem, options, min(found, key=order))


def _fill(
    problem: Problem, options: list[list[tuple[Policy, float]]], chosen: list[int], budget_ms: float
) -> list[int]:
    """Return `chosen` with what is left of the budget spent: one change at a time, the one that saves most loss."""
    while True:
        better = sorted(
            (loss - choices[chosen[i]][1], i, j)
            for i, choices in enumerate(options)
            for j, (_, loss) in enumerate(choices)
            if loss < choices[chosen[i]][1]
        )
        for _, i, j in better:
            candidate = [*chosen[:i], j, *chosen[i + 1 :]]
            if problem.predict(_merge(problem, options, candidate)) <= budget_ms:
                chosen = candidate
                break
        else:
            return chosen


def _allocate_from(
    problem: Problem, options: list[list[tuple[Policy, float]]], start: list[int], budget_ms: float
) -> list[int]:
    """Return the choices for a budget, with savings as they are around the choices `start`."""

    def predicted(chosen: list[int]) -> float:
        return problem.predict(_merge(problem, options, chosen))

    classes = [
        [Choice(predicted([*start[:i], j, *start[i + 1 :]]), loss) for j, (_, loss) in enumerate(choices)]
        for i, choices in enumerate(options)
    ]
    best = [min(range(len(choices)), key=lambda j, of=choices: of[j].cost) for choices in classes]  # type: ignore[misc]
    low = sum(choices[j].cost for choices, j in zip(classes, best, strict=True))
    high = sum(max(choice.cost for choice in choices) for choices in classes)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        chosen = solve(classes, middle)
        if chosen is not None and predicted(chosen) <= budget_ms:
            best, low = chosen, middle
        else:
            high = middle
    return best


def _options(problem: Problem) -> list[list[tuple[Policy, float]]]:
    """Return classes of policies, each with its loss: a class per layer, one per further group; whole comes first.

    What a layer's first group keeps and how wide the layer is are one choice, because their savings multiply.
    """
    walk, losses = Walk.of(problem.space, (SPARSITY, ACTIVATION, WEIGHT)), Losses(problem.sensitivity)
    found = []
    for step in walk.steps:
        cuts = [_cuts(group, losses) for group in step.groups] or [[(Policy(), 0.0)]]
        name = step.layer.name
        widths = [(Policy(layers={name: bits}), losses.width(name, bits)) for bits in reversed(step.layer.widths)]
        joint = [(replace(cut, layers=wide.layers), lost + more) for cut, lost in cuts[0] for wide, more in widths]
        found += [joint, *cuts[1:]]
    return found


def _cuts(group: GroupRange, losses: "Losses") -> list[tuple[Policy, float]]:
    return [
        (Policy(groups={group.name: Keep(count, group.size)}), losses.cut(group, count))
        for count in reversed(group.counts)
    ]


class Losses:
    """Additive losses from the divergences of single changes; what was not probed is taken to diverge by its ratio."""

    def __init__(self, sensitivity: Sensitivity) -> None:
        self._sensitivity = sensitivity
        curves = [*sensitivity.sparsity.values(), *sensitivity.activation.values(), *sensitivity.weight.values()]
        worst = max((kl for curve in [*curves, tuple(sensitivity.int8.values())] for kl in curve), default=1.0)
        self._chance = sensitivity.chance or _BEYOND * worst or 1.0

    def cut(self, group: GroupRange, count: int) -> float:
        """Return the loss of keeping `count` channels."""
        return self._at(self._sensitivity.sparsity.get(group.name, RATIOS), 1 - count / group.size)

    def width(self, layer: str, bits: Bits) -> float:
        """Return the loss of computing a layer in these widths; fp16 and fp32 lose nothing."""
        known = self._sensitivity
        if min(bits.weight_bits, bits.activation_bits) > REFERENCE_BITS:
            return 0.0
        if bits == INT8:
            return self._additive(known.int8.get(layer, 0.01))
        sides = ((known.activation, bits.activation_bits), (known.weight, bits.weight_bits))
        return sum(
            self._at(curve.get(layer, RATIOS), 1 - width / REFERENCE_BITS)
            for curve, width in sides
            if width <= REFERENCE_BITS
        )

    def _at(self, curve: Sequence[float], ratio: float) -> float:
        return self._additive(float(np.interp(ratio, RATIOS, np.maximum.accumulate(curve))))

    def _additive(self, divergence: float) -> float:
        return -math.log(max(1 - divergence / self._chance, _LEAST))


def _merge(problem: Problem, options: list[list[tuple[Policy, float]]], chosen: Sequence[int]) -> Policy:
    """Return the policy that makes all chosen changes."""
    groups: dict[str, Keep] = {}
    layers: dict[str, Bits] = {}
    for choices, index in zip(options, chosen, strict=True):
        policy, _ = choices[index]
        groups |= policy.groups
        layers |= policy.layers
    return problem.space.legal(Policy(groups, layers))
