"""A search problem with a known optimum, to try searchers on: accuracy and latency are sums over layers."""

from dataclasses import dataclass

import numpy as np

from galen.agents.goal import Goal
from galen.agents.problem import Problem
from galen.agents.searcher import Outcome
from galen.agents.sensitivity import RATIOS, Sensitivity
from galen.passes.policy import FP32, INT8, Policy
from galen.passes.space import GroupRange, LayerRange, Space

COUNTS = tuple(range(2, 34, 2))
"""Channels that a layer may keep of 32."""


@dataclass(frozen=True)
class Separable:
    """Layer l keeping a share k costs `cost[l] k` ms (60 % of it in int8) and `loss[l] (1 - k)^2` accuracy.

    Int8 costs `rounding[l]` accuracy.
    """

    cost: np.ndarray
    loss: np.ndarray
    rounding: np.ndarray

    @classmethod
    def draw(cls, seed: int, layers: int = 12) -> "Separable":
        """Return a random problem; a few layers hold most of the accuracy."""
        random = np.random.default_rng(seed)
        loss = np.exp(random.normal(0, 1.2, layers))
        return cls(
            cost=random.uniform(0.5, 1.5, layers),
            loss=0.9 * loss / loss.sum(),
            rounding=0.1 * random.uniform(0, 1, layers) / layers,
        )

    @property
    def space(self) -> Space:
        """Every layer is a group of its own and may be int8."""
        names = [f"conv{i}" for i in range(len(self.cost))]
        groups = tuple(GroupRange(name, 32, COUNTS) for name in names)
        layers = tuple(
            LayerRange(name, "Conv", int(1e6 * cost), 9216, 32, 32, 3, 1, {name: 32}, {}, (INT8, FP32))
            for name, cost in zip(names, self.cost, strict=True)
        )
        return Space(groups, layers, digest="synthetic", target="synthetic")

    def evaluate(self, policy: Policy) -> Outcome:
        """Return the exact outcome of a policy."""
        names = [layer.name for layer in self.space.layers]
        kept = np.array([policy.groups[n].keep / policy.groups[n].of if n in policy.groups else 1.0 for n in names])
        integer = np.array([policy.layers.get(n, FP32) == INT8 for n in names])
        latency = (self.cost * kept * np.where(integer, 0.6, 1.0)).sum()
        accuracy = 0.9 - (self.loss * (1 - kept) ** 2).sum() - (self.rounding * integer).sum()
        return Outcome(float(accuracy), float(latency), int(1000 * kept.sum()))

    def problem(self, seed: int, share: float = 0.4) -> Problem:
        """Return the search for the best accuracy within a share of the uncompressed latency."""
        reference = self.evaluate(Policy())
        goal = Goal(reference, max_latency_ms=share * reference.latency_ms)
        return Problem(
            self.space, goal, lambda policy: self.evaluate(policy).latency_ms, self.sensitivity(seed), seed=seed
        )

    def optimum(self, problem: Problem, steps: int = 4000) -> float:
        """The best accuracy within the latency bound, by dynamic programming over latency in `steps` steps."""
        unit = (problem.goal.max_latency_ms or problem.goal.reference.latency_ms) / steps
        least = np.zeros(steps + 1)
        for cost, loss, rounding in zip(self.cost, self.loss, self.rounding, strict=True):
            now = np.full(steps + 1, np.inf)
            for keep in COUNTS:
                for factor, extra in ((1.0, 0.0), (0.6, rounding)):
                    used = int(np.ceil(cost * keep / 32 * factor / unit))
                    if used <= steps:
                        worth = least[: steps + 1 - used] + loss * (1 - keep / 32) ** 2 + extra
                        now[used:] = np.minimum(now[used:], worth)
            least = now
        return float(0.9 - least[steps])

    def sensitivity(self, seed: int, distortion: float = 0.5) -> Sensitivity:
        """What probing would tell: the losses of single changes, each layer's distorted by a random factor."""
        noise = np.exp(np.random.default_rng(seed).normal(0, distortion, (2, len(self.cost))))
        names = [layer.name for layer in self.space.layers]
        return Sensitivity(
            sparsity={n: tuple(c * r**2 for r in RATIOS) for n, c in zip(names, self.loss * noise[0], strict=True)},
            int8=dict(zip(names, map(float, self.rounding * noise[1]), strict=True)),
        )
