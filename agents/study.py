"""Optuna's samplers behind ask and tell.

A study lives for one `ask` only: it is filled with the history, asked once and dropped, and its sampler's seed follows
from the searcher's and the number of trials. The history is therefore the whole state.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from galen.agents import actions
from galen.agents.budget import Aim
from galen.agents.problem import Problem
from galen.agents.rewards import ERROR, goal_reward
from galen.agents.searcher import Outcome
from galen.agents.walk import ACTIVATION, SPARSITY, WEIGHT, Step, Walk
from galen.passes.policy import FP32, Bits, Policy

if TYPE_CHECKING:
    import optuna


@dataclass
class StudySearcher:
    """Base of the searchers that sample with Optuna. What is proposed is fitted to the budget, and told as fitted."""

    problem: Problem
    _aim: Aim = field(init=False, repr=False)
    _history: list[dict[str, Any]] = field(init=False, default_factory=list)
    _asked: list[dict[str, Any]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._aim = Aim(self.problem, Walk.of(self.problem.space, (SPARSITY, ACTIVATION, WEIGHT)))

    def sampler(self, seed: int) -> "optuna.samplers.BaseSampler":
        """Return a new sampler."""
        raise NotImplementedError

    def values(self, outcome: Outcome) -> list[float]:
        """Return what is minimised."""
        return [-ERROR if outcome.error is not None else -goal_reward(outcome, self.problem.goal)]

    def ask(self) -> Policy:
        """Return the sampler's proposal, fitted to the budget."""
        import optuna  # noqa: PLC0415

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        number = len(self._history) + len(self._asked)
        seed = int(np.random.default_rng([self.problem.seed, number]).integers(2**31))
        directions = ["minimize"] * len(self.values(self.problem.goal.reference))
        study = optuna.create_study(directions=directions, sampler=self.sampler(seed))
        distributions = self._distributions()
        running = [{**entry, "state": optuna.trial.TrialState.RUNNING} for entry in self._asked]
        trials = (*self._history, *running)
        study.add_trials([optuna.trial.create_trial(**entry, distributions=distributions) for entry in trials])
        trial = study.ask(distributions)
        policy = self._aim.policy(self._plan(trial.params))
        self._asked.append({"params": self._parameters(policy), "system_attrs": study.trials[-1].system_attrs})
        return policy

    def tell(self, policy: Policy, outcome: Outcome) -> None:
        """Add the trial that `policy` is."""
        self._aim.saw(policy, outcome)
        params = self._parameters(policy)
        asked = next((trial for trial in self._asked if trial["params"] == params), None)
        if asked is not None:
            self._asked.remove(asked)
        excess = 1.0 if outcome.error is not None else self.problem.goal.violation(outcome)
        self._history.append(
            {
                "params": params,
                "values": self.values(outcome),
                "system_attrs": {**(asked["system_attrs"] if asked else {}), "constraints": [excess]},
            }
        )

    def state(self) -> dict[str, Any]:
        """Return the history, and what is still being evaluated."""
        return {"history": list(self._history), "asked": list(self._asked), "aim": self._aim.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._history = list(state["history"])
        self._asked = list(state["asked"])
        self._aim.load(state["aim"])

    def _distributions(self) -> dict[str, Any]:
        import optuna  # noqa: PLC0415

        found: dict[str, Any] = {}
        for step in self._aim.walk.steps:
            if step.groups:
                found[f"{step.layer.name}/{SPARSITY}"] = optuna.distributions.FloatDistribution(0, 1)
            if len(step.layer.widths) > 1:
                last = len(step.layer.widths) - 1
                found[f"{step.layer.name}/{WEIGHT}"] = optuna.distributions.IntDistribution(0, last)
        return found

    def _plan(self, params: dict[str, Any]) -> np.ndarray:
        """Return the actions `[steps, 3]` that the parameters stand for."""
        rows = []
        for step in self._aim.walk.steps:
            bits = _ordered(step)[params.get(f"{step.layer.name}/{WEIGHT}", 0)]
            widths = actions.widths_actions(bits, self._aim.walk.reference_bits)
            rows.append((params.get(f"{step.layer.name}/{SPARSITY}", 0.0), *widths))
        return np.array(rows)

    def _parameters(self, policy: Policy) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for step, action in zip(self._aim.walk.steps, self._aim.walk.plan(policy), strict=True):
            if step.groups:
                found[f"{step.layer.name}/{SPARSITY}"] = float(action[0])
            if len(step.layer.widths) > 1:
                bits = policy.layers.get(step.layer.name, FP32)
                found[f"{step.layer.name}/{WEIGHT}"] = _ordered(step).index(bits)
        return found


def _ordered(step: Step) -> list[Bits]:
    """Return the layer's widths, widest first."""
    return sorted(step.layer.widths, reverse=True)
