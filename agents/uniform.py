"""One sparsity for every group and one width for every layer: what people try first by hand."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from galen.agents import actions
from galen.agents.budget import Aim
from galen.agents.problem import Problem
from galen.agents.searcher import Outcome
from galen.agents.walk import ACTIVATION, SPARSITY, WEIGHT, Walk
from galen.passes.policy import FP32, Policy

SPARSITIES = tuple(i / 50 for i in range(50))


@dataclass
class Uniform:
    """Goes through the uniform policies, those predicted nearest below the budget first."""

    problem: Problem
    _aim: Aim = field(init=False, repr=False)
    _policies: tuple[Policy, ...] = field(init=False, repr=False)
    _asked: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        space = self.problem.space
        walk = Walk.of(space, (SPARSITY, ACTIVATION, WEIGHT))
        self._aim = Aim(self.problem, walk)
        bits = sorted({pair for layer in space.layers for pair in layer.widths} | {FP32}, reverse=True)
        rows = [
            (sparsity, *actions.widths_actions(pair, walk.reference_bits)) for pair in bits for sparsity in SPARSITIES
        ]
        policies = {str(p): p for p in (walk.policy(np.tile(row, (len(walk.steps), 1))) for row in rows)}
        self._policies = tuple(policies.values())

    def ask(self) -> Policy:
        """Return the untried policy nearest to the budget, those above it last; begin again when all were tried."""
        untried = [i for i in range(len(self._policies)) if i not in self._asked]
        if not untried:
            self._asked.clear()
            untried = list(range(len(self._policies)))
        self._asked.append(min(untried, key=self._distance))
        return self._policies[self._asked[-1]]

    def _distance(self, index: int) -> tuple[bool, float]:
        excess = self.problem.predict(self._policies[index]) - self._aim.budget_ms
        return excess > 0, abs(excess)

    def tell(self, policy: Policy, outcome: Outcome) -> None:
        """Remember the best outcome: with an accuracy bound, the budget follows it."""
        self._aim.saw(policy, outcome)

    def state(self) -> dict[str, Any]:
        """Return what was asked, and the aim."""
        return {"asked": list(self._asked), "aim": self._aim.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._asked = list(state["asked"])
        self._aim.load(state["aim"])
