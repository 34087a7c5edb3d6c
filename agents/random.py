"""Uniformly random policies, fitted to the latency budget like everybody's: the baseline that learning has to beat."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from galen.agents.budget import Aim
from galen.agents.problem import Problem
from galen.agents.searcher import Outcome
from galen.agents.walk import ACTIVATION, SPARSITY, WEIGHT, Walk
from galen.passes.policy import Policy


@dataclass
class Random:
    """Draws every action of every layer from the uniform distribution."""

    problem: Problem
    parameters: tuple[str, ...] = (SPARSITY, ACTIVATION, WEIGHT)
    _generator: np.random.Generator = field(init=False, repr=False)
    _aim: Aim = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.problem.seed)
        self._aim = Aim(self.problem, Walk.of(self.problem.space, self.parameters), first=self.parameters)

    def ask(self) -> Policy:
        """Return the next random policy."""
        return self._aim.policy(self._generator.random((len(self._aim.walk.steps), len(self.parameters))))

    def tell(self, policy: Policy, outcome: Outcome) -> None:
        """Remember the best outcome: with an accuracy bound, the budget follows it."""
        self._aim.saw(policy, outcome)

    def state(self) -> dict[str, Any]:
        """Return the generator and the aim."""
        return {"generator": self._generator.bit_generator.state, "aim": self._aim.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._generator.bit_generator.state = state["generator"]
        self._aim.load(state["aim"])
