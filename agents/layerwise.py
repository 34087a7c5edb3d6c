"""The learning agents: a DDPG actor walks the network layer by layer, and the whole policy earns one reward."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from galen.agents import rewards
from galen.agents.budget import Aim
from galen.agents.ddpg import REPAIRED, Ddpg, Hyper
from galen.agents.features import observe
from galen.agents.problem import Problem
from galen.agents.replay import Replay
from galen.agents.searcher import Outcome
from galen.agents.walk import Walk
from galen.passes.policy import Policy
from galen.passes.space import Space


@dataclass
class Layerwise:
    """A searcher whose action at each layer depends on what it sees there.

    Attributes:
        features: names of the state's entries.
        parameters: what an action decides.
    """

    problem: Problem
    features: tuple[str, ...]
    parameters: tuple[str, ...]
    hyper: Hyper = REPAIRED
    _aim: Aim = field(init=False, repr=False)
    _ddpg: Ddpg = field(init=False, repr=False)
    _replay: Replay = field(init=False, repr=False)
    _generator: np.random.Generator = field(init=False, repr=False)
    _told: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.problem.seed)
        walk = Walk.of(self.problem.space, self.parameters, self.hyper.reference_bits)
        self._aim = Aim(self.problem, walk)
        self._ddpg = Ddpg(len(self.features), len(self.parameters), self.hyper, self._generator)
        self._replay = Replay.empty(self.hyper.capacity, len(self.features), len(self.parameters))

    @property
    def reach(self) -> Space:
        """The part of the problem's space that this agent decides."""
        return self._aim.walk.reach

    def ask(self) -> Policy:
        """Return the actor's policy with exploration, fitted to the latency that the goal allows."""
        return self._aim.policy(self._explore())

    def tell(self, policy: Policy, outcome: Outcome) -> None:
        """Remember the episode that leads to `policy`, whoever proposed it, and learn."""
        if states := self._states(policy):
            self._replay.extend(np.array(states), self._aim.walk.plan(policy), self._rewards(policy, outcome))
        self._aim.saw(policy, outcome)
        self._told += 1
        if self._told >= self.hyper.warmup and len(self._replay) >= self.hyper.batch:
            episodes = self._told if self._told == self.hyper.warmup else 1
            self._ddpg.learn(self._replay, max(round(self.hyper.updates * len(states) * episodes), 1))

    def state(self) -> dict[str, Any]:
        """Return generator, networks, optimisers, experience and counters."""
        return {
            "generator": self._generator.bit_generator.state,
            "ddpg": self._ddpg.state(),
            "replay": self._replay.state(),
            "told": self._told,
            "aim": self._aim.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._generator.bit_generator.state = state["generator"]
        self._ddpg.load(state["ddpg"])
        self._replay.load(state["replay"])
        self._told = state["told"]
        self._aim.load(state["aim"])

    def _explore(self) -> np.ndarray:
        """Return a plan `[steps, parameters]`: random while warming up, then the actor's with truncated noise."""
        hyper = self.hyper
        shape = (len(self._aim.walk.steps), len(self.parameters))
        if self._told < hyper.warmup:
            return self._warm_up(shape)
        deviation = max(hyper.noise * hyper.noise_decay ** (self._told - hyper.warmup), hyper.noise_floor)
        plan = np.zeros(shape)
        policy, previous = self._aim.walk.start(), np.zeros(len(self.parameters))
        for i, step in enumerate(self._aim.walk.steps):
            raw = observe(self._aim.walk, self.features, self.problem.sensitivity, policy, step, previous=previous)
            mean = self._ddpg.act(self._replay.standardise(raw))
            previous = plan[i] = _truncated_normal(mean, deviation, self._generator)
            policy = self._aim.walk.apply(policy, step, previous)
        return plan

    def _warm_up(self, shape: tuple[int, int]) -> np.ndarray:
        known = self._aim.nearest
        if known is None or self.hyper.warmup_noise == 0:
            return self._generator.random(shape)
        return _truncated_normal(self._aim.walk.plan(known[0]), self.hyper.warmup_noise, self._generator)

    def _rewards(self, policy: Policy, outcome: Outcome) -> np.ndarray:
        """Return what every step is paid: the same for all, unless the reward is r3."""
        count, goal = len(self._aim.walk.steps), self.problem.goal
        if self.hyper.reward != rewards.PER_STEP:
            return np.full(count, rewards.reward(self.hyper.reward)(outcome, goal))
        if outcome.error is not None or self.problem.accuracy is None:
            return np.full(count, rewards.ERROR)
        space = self.problem.space
        partial = [*(now for now, _, _ in self._aim.walk.replay(policy)), policy]
        costs = [sum(space.bops(layer, now) for layer in space.layers) for now in partial]
        return np.array(rewards.r3(outcome, goal, costs, [self.problem.accuracy(now) for now in partial[1:]]))

    def _states(self, policy: Policy) -> list[np.ndarray]:
        states, previous = [], np.zeros(len(self.parameters))
        for now, step, action in self._aim.walk.replay(policy):
            states.append(
                observe(self._aim.walk, self.features, self.problem.sensitivity, now, step, previous=previous)
            )
            previous = action
        return states


def _truncated_normal(mean: np.ndarray, deviation: float, generator: np.random.Generator) -> np.ndarray:
    """Draw from the normal distribution around `mean` restricted to [0, 1], by inverting its distribution function."""
    if deviation <= 0:
        return mean
    from scipy.stats import norm  # noqa: PLC0415

    low, high = norm.cdf((0 - mean) / deviation), norm.cdf((1 - mean) / deviation)
    drawn = mean + deviation * norm.ppf(low + (high - low) * generator.random(mean.shape))
    return np.asarray(np.clip(drawn, 0, 1))
