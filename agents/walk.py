"""The episode of a layer-wise agent: which layers it visits, what an action there decides, and the way back.

A group of channels is decided at its first producer, as in the Galen paper; what a step cannot decide is ignored there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from galen.agents import actions
from galen.passes.policy import FP32, Keep, Policy
from galen.passes.space import GroupRange, LayerRange, Space

SPARSITY, ACTIVATION, WEIGHT = "sparsity", "activation", "weight"
IGNORED = 0.0
"""What stands in an action vector for a decision that the step does not have."""


@dataclass(frozen=True)
class Step:
    """One visit: the layer and the groups that are decided there."""

    layer: LayerRange
    groups: tuple[GroupRange, ...]


@dataclass(frozen=True)
class Walk:
    """All visits of one episode.

    Attributes:
        parameters: what the entries of an action decide: `sparsity`, `activation` and `weight` width.
        reference_bits: the published B: bits of a mixed layer are 1 to B.
    """

    space: Space
    parameters: tuple[str, ...]
    reference_bits: int
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, space: Space, parameters: tuple[str, ...], reference_bits: int = 8) -> "Walk":
        """Return the walk over the layers of `space` at which one of `parameters` can be chosen."""
        groups = {group.name: group for group in space.groups if len(group.counts) > 1}
        steps = []
        for layer in space.layers:
            led = tuple(groups.pop(name) for name in layer.outputs if name in groups) if SPARSITY in parameters else ()
            if led or (WEIGHT in parameters and len(layer.widths) > 1):
                steps.append(Step(layer, led))
        return cls(space, parameters, reference_bits, tuple(steps))

    @property
    def reach(self) -> Space:
        """The part of the space that the actions can reach."""
        groups, layers = self.space.groups, self.space.layers
        if SPARSITY not in self.parameters:
            groups = tuple(replace(group, counts=(group.size,)) for group in groups)
        if WEIGHT not in self.parameters:
            layers = tuple(replace(layer, widths=(FP32,)) for layer in layers)
        return replace(self.space, groups=groups, layers=layers)

    def start(self) -> Policy:
        """Return the policy before the first step: everything whole, in floating point."""
        return self.space.legal(Policy())

    def apply(self, policy: Policy, step: Step, action: np.ndarray) -> Policy:
        """Return `policy` after `action` (`[parameters]`, each in [0, 1]) at `step`."""
        chosen = dict(zip(self.parameters, map(float, action), strict=True))
        if SPARSITY in chosen:
            kept = {g.name: Keep(actions.channels(chosen[SPARSITY], g.counts), g.size) for g in step.groups}
            policy = replace(policy, groups={**policy.groups, **kept})
        if WEIGHT in chosen:
            bits = actions.widths(chosen[ACTIVATION], chosen[WEIGHT], step.layer.widths, self.reference_bits)
            policy = replace(policy, layers={**policy.layers, step.layer.name: bits})
        return policy

    def action(self, policy: Policy, step: Step) -> np.ndarray:
        """Return the action `[parameters]` that decides at `step` what `policy` says."""
        chosen = dict.fromkeys((SPARSITY, ACTIVATION, WEIGHT), IGNORED)
        if step.groups:
            kept = [(policy.groups.get(g.name, Keep(g.size, g.size)), g) for g in step.groups]
            chosen[SPARSITY] = float(np.mean([actions.channels_action(k.keep, g.counts) for k, g in kept]))
        if len(step.layer.widths) > 1:
            bits = policy.layers.get(step.layer.name, FP32)
            chosen[ACTIVATION], chosen[WEIGHT] = actions.widths_actions(bits, self.reference_bits)
        return np.array([chosen[name] for name in self.parameters])

    def policy(self, plan: np.ndarray) -> Policy:
        """Return the legal policy of all actions `[steps, parameters]`."""
        policy = self.start()
        for step, action in zip(self.steps, plan, strict=True):
            policy = self.apply(policy, step, action)
        return self.space.legal(policy)

    def plan(self, policy: Policy) -> np.ndarray:
        """Return the actions `[steps, parameters]` of a policy."""
        return np.array([self.action(policy, step) for step in self.steps]).reshape(-1, len(self.parameters))

    def replay(self, policy: Policy) -> Iterator[tuple[Policy, Step, np.ndarray]]:
        """Yield the policy before each step, the step, and the action that leads towards `policy`."""
        now = self.start()
        for step in self.steps:
            action = self.action(policy, step)
            yield now, step, action
            now = self.apply(now, step, action)
