"""Deep deterministic policy gradient (Lillicrap et al., arXiv 1509.02971), for short episodes with one reward.

Sizes and constants are either those of the Galen paper's code or of its repair; the algorithm is the same: a scalar
critic, a terminal flag, states standardised when they are replayed.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from galen.agents.replay import Replay

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Hyper:
    """Constants of learning.

    Attributes:
        hidden: units of the two hidden layers of actor and critic.
        discount: of the next step's value. Every step is paid the reward of its whole episode, so 0 makes the value
            of a step exactly that reward; anything else adds up copies of it.
        tau: share of the networks that moves into their targets at each update.
        warmup: episodes before learning, of uniform actions or around a policy that the agent was given.
        warmup_noise: deviation of the latter; 0: always uniform.
        noise, noise_decay, noise_floor: deviation of the exploration, its factor per episode, its least value.
        updates: minibatches per step of an episode, the warm-up's made up for at its end; 0: one per episode.
        imitation: weight of the squared distance to the actions of the best episodes in the actor's loss
            (self-imitation, Oh et al., arXiv 1806.05635), large because the critic of a hundred episodes, followed
            far from what it has seen, leads to the ends of the range; 0: none.
        elite: share of the experience that counts as best.
    """

    hidden: tuple[int, int] = (64, 64)
    actor_rate: float = 1e-3
    critic_rate: float = 1e-3
    critic_decay: float = 1e-4
    discount: float = 0.0
    tau: float = 0.01
    batch: int = 64
    capacity: int = 10_000
    warmup: int = 10
    warmup_noise: float = 0.15
    noise: float = 0.15
    noise_decay: float = 0.97
    noise_floor: float = 0.05
    updates: float = 2.0
    imitation: float = 30.0
    elite: float = 0.1
    reference_bits: int = 8
    reward: str = "goal"


REPAIRED = Hyper()
PUBLISHED = Hyper(
    hidden=(400, 300),
    actor_rate=1e-4,
    critic_rate=1e-3,
    critic_decay=1e-2,
    discount=0.99,
    tau=0.001,
    batch=128,
    capacity=2000,
    warmup=10,
    warmup_noise=0.0,
    noise=0.5,
    noise_decay=0.95,
    noise_floor=0.0,
    updates=0.0,
    imitation=0.0,
    reference_bits=6,
    reward="r6",
)


_NETWORKS = ("actor", "critic", "actor_target", "critic_target")
_OPTIMISERS = ("actor_optimiser", "critic_optimiser")


@dataclass
class Ddpg:
    """Actor, critic, their targets and optimisers; all randomness comes from `generator`."""

    features: int
    actions: int
    hyper: Hyper
    generator: np.random.Generator
    _parts: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import torch  # noqa: PLC0415

        source = torch.Generator().manual_seed(int(self.generator.integers(2**31)))
        actor, actor_target = (_network(self.features, self.actions, self.hyper.hidden) for _ in range(2))
        critic, critic_target = (_network(self.features + self.actions, 1, self.hyper.hidden) for _ in range(2))
        _initialise(actor, 3e-3, source)
        _initialise(critic, 3e-4, source)
        actor_target.load_state_dict(actor.state_dict())
        critic_target.load_state_dict(critic.state_dict())
        self._parts = {
            "actor": actor,
            "critic": critic,
            "actor_target": actor_target,
            "critic_target": critic_target,
            "actor_optimiser": torch.optim.Adam(actor.parameters(), lr=self.hyper.actor_rate),
            "critic_optimiser": torch.optim.Adam(
                critic.parameters(), lr=self.hyper.critic_rate, weight_decay=self.hyper.critic_decay
            ),
        }

    def act(self, state: np.ndarray) -> np.ndarray:
        """Return the actor's action `[a]` in [0, 1] for a standardised state `[s]`."""
        import torch  # noqa: PLC0415

        with torch.no_grad():
            return torch.sigmoid(self._parts["actor"](torch.from_numpy(state))).numpy().astype(np.float64)

    def learn(self, replay: Replay, updates: int) -> None:
        """Take `updates` steps. On one thread: the networks are too small to be worth waking others."""
        import torch  # noqa: PLC0415

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for _ in range(updates):
                self.update(replay)
        finally:
            torch.set_num_threads(threads)

    def update(self, replay: Replay) -> None:
        """Take one step of critic and actor on a minibatch, then move the targets."""
        import torch  # noqa: PLC0415

        batch = replay.sample(self.hyper.batch, self.generator)
        states, actions, rewards, next_states, live = map(torch.from_numpy, batch)
        with torch.no_grad():
            next_actions = torch.sigmoid(self._parts["actor_target"](next_states))
            next_value = self._value("critic_target", next_states, next_actions)
            wanted = rewards + self.hyper.discount * live * next_value
        self._step("critic", torch.mean((self._value("critic", states, actions) - wanted) ** 2))
        loss = -self._value("critic", states, torch.sigmoid(self._parts["actor"](states))).mean()
        if self.hyper.imitation:
            best = replay.elite(self.hyper.batch, self.hyper.elite, self.generator)
            imitated = torch.sigmoid(self._parts["actor"](torch.from_numpy(best.states)))
            loss = loss + self.hyper.imitation * torch.mean((imitated - torch.from_numpy(best.actions)) ** 2)
        self._step("actor", loss)
        for name in ("actor", "critic"):
            self._follow(name)

    def _value(self, name: str, states: "torch.Tensor", actions: "torch.Tensor") -> "torch.Tensor":
        import torch  # noqa: PLC0415

        value: torch.Tensor = self._parts[name](torch.cat([states, actions], dim=1))[:, 0]
        return value

    def _step(self, name: str, loss: "torch.Tensor") -> None:
        optimiser = self._parts[f"{name}_optimiser"]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    def _follow(self, name: str) -> None:
        import torch  # noqa: PLC0415

        with torch.no_grad():
            pairs = zip(self._parts[f"{name}_target"].parameters(), self._parts[name].parameters(), strict=True)
            for target, source in pairs:
                target.lerp_(source, self.hyper.tau)

    def state(self) -> dict[str, Any]:
        """Return weights and optimiser moments as numpy arrays."""
        weights = {name: _numpy(self._parts[name].state_dict()) for name in _NETWORKS}
        moments = {
            name: {str(index): _numpy(entry) for index, entry in self._parts[name].state_dict()["state"].items()}
            for name in _OPTIMISERS
        }
        return weights | moments

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        for name in _NETWORKS:
            self._parts[name].load_state_dict(_tensors(state[name]))
        for name in _OPTIMISERS:
            entries = {int(index): _tensors(entry) for index, entry in state[name].items()}
            groups = self._parts[name].state_dict()["param_groups"]
            self._parts[name].load_state_dict({"state": entries, "param_groups": groups})


def _network(inputs: int, outputs: int, hidden: tuple[int, int]) -> "torch.nn.Module":
    from torch import nn  # noqa: PLC0415

    sizes = (inputs, *hidden)
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(hidden[-1], outputs))


def _initialise(network: "torch.nn.Module", last: float, source: "torch.Generator") -> None:
    """Draw all weights from `source`: uniform within 1/sqrt(fan in), within `last` in the output layer."""
    from torch import nn  # noqa: PLC0415

    linear = [part for part in network.modules() if isinstance(part, nn.Linear)]
    for layer in linear:
        bound = last if layer is linear[-1] else layer.in_features**-0.5
        nn.init.uniform_(layer.weight, -bound, bound, generator=source)
        nn.init.uniform_(layer.bias, -bound, bound, generator=source)


def _numpy(tensors: dict[str, "torch.Tensor"]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy().copy() for name, tensor in tensors.items()}


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, "torch.Tensor"]:
    import torch  # noqa: PLC0415

    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
