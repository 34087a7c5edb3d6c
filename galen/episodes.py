"""The loop of a search: ask, evaluate, tell, write down; until episodes, time or the user's patience run out."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from galen.agents import rewards
from galen.agents.goal import Goal
from galen.agents.searcher import Outcome, Searcher
from galen.ir import Model
from galen.journal import Episode, Journal
from galen.pareto import front
from galen.passes.policy import Policy
from galen.predictor import LatencyPredictor
from galen.workers.pool import Awaited, Pool


@dataclass(frozen=True)
class Asked:
    """A policy that was asked for and whose outcome was not told yet.

    Attributes:
        rivals: the Pareto front when it was asked for.
        seconds: that asking took.
    """

    policy: Policy
    rivals: tuple[Outcome, ...]
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return what the journal keeps."""
        return {"policy": self.policy.to_json(), "rivals": [asdict(rival) for rival in self.rivals]}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Asked":
        """Return what `to_json` was called on."""
        return cls(Policy.from_json(told["policy"]), tuple(Outcome(**rival) for rival in told["rivals"]))


@dataclass
class Loop:
    """One search between its set-up and its end.

    As many policies are asked for as the pool evaluates at once; then the oldest one's outcome is awaited and told, and
    another one is asked for. What is asked and told when thus depends on the size of the pool, and not on who is fast.

    Attributes:
        begun: seconds that had passed in the search, earlier runs included, when `clock` read `started`.
        improved: called with the episode and its model when it is the best so far.
        done: called after every episode with it and the best one so far.
    """

    goal: Goal
    searcher: Searcher
    pool: Pool
    predictor: LatencyPredictor
    journal: Journal
    begun: float
    started: float
    improved: Callable[[Episode, Model], None]
    done: Callable[[Episode, Episode], None]
    clock: Callable[[], float] = time.monotonic
    _known: list[Episode] = field(init=False, default_factory=list)
    _asked: deque[Asked] = field(init=False, default_factory=deque)
    _awaited: deque[Awaited] = field(init=False, default_factory=deque)

    def run(self, episodes: int, time_budget: float | None) -> bool:
        """Run up to `episodes` in all, and not past `time_budget` seconds; return False when the user interrupted."""
        self._restore()
        best = best_of(self.goal, self._known)
        try:
            for number in range(len(self._known), episodes):
                if time_budget is not None and self.elapsed >= time_budget:
                    return True
                self._ask(episodes - number)
                best = self._episode(number, best)
        except KeyboardInterrupt:
            return False
        return True

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return self.begun + self.clock() - self.started

    def _restore(self) -> None:
        self._known = list(self.journal.episodes())
        if state := self.journal.state():
            self.searcher.load(state["searcher"])
            self.predictor.load(state["predictor"])
            self._asked.extend(map(Asked.from_json, state["asked"]))

    def _ask(self, left: int) -> None:
        """Ask for as many policies as the pool takes, and begin to evaluate those of the `left` episodes to come.

        Asking goes on where evaluating ends, so that a search with more episodes begins with the same ones.
        """
        rivals = tuple(episode.outcome for episode in front(self._known))
        while len(self._asked) < self.pool.size:
            begun = self.clock()
            self._asked.append(Asked(self.searcher.ask(), rivals, self.clock() - begun))
        for asked in list(self._asked)[len(self._awaited) : left]:
            self._awaited.append(self.pool.submit(asked.policy, asked.rivals))

    def _episode(self, number: int, best: Episode | None) -> Episode:
        """End the oldest evaluation and return the best episode so far."""
        asked, evaluation = self._asked.popleft(), self._awaited.popleft()()
        policy, outcome = asked.policy, evaluation.outcome
        told = self.clock()
        self.searcher.tell(policy, outcome)
        if evaluation.latency is not None:
            self.predictor.observe(policy, evaluation.latency)
        episode = Episode(
            number=number,
            policy=policy,
            outcome=outcome,
            met=self.goal.met(outcome),
            reward=None if outcome.error is not None else rewards.goal_reward(outcome, self.goal),
            elapsed=self.elapsed,
            seconds={**evaluation.seconds, "agent": asked.seconds + self.clock() - told},
            layers=evaluation.latency.layers if evaluation.latency is not None else (),
        )
        self._known.append(episode)
        self.journal.append(episode, self._state())
        if best is None or self.goal.rank(episode.outcome) < self.goal.rank(best.outcome):
            best = episode
            if evaluation.model is not None:
                self.improved(episode, evaluation.model)
        self.done(episode, best)
        return best

    def _state(self) -> dict[str, Any]:
        return {
            "searcher": self.searcher.state(),
            "predictor": self.predictor.state(),
            "asked": [asked.to_json() for asked in self._asked],
        }


def best_of(goal: Goal, episodes: list[Episode]) -> Episode | None:
    """Return the episode that comes first in the goal's order, None: there is none."""
    return min(episodes, key=lambda episode: goal.rank(episode.outcome), default=None)
