"""The loop of a search: ask, evaluate, tell, write down; until episodes, time or the user's patience run out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from galen.agents import rewards
from galen.agents.goal import Goal
from galen.agents.searcher import Outcome, Searcher
from galen.evaluate import Evaluation, Evaluator
from galen.ir import GalenError, Model
from galen.journal import Episode, Journal
from galen.passes.policy import Policy
from galen.predictor import LatencyPredictor


@dataclass
class Loop:
    """One search between its set-up and its end.

    Attributes:
        begun: seconds that had passed in the search, earlier runs included, when `clock` read `started`.
        improved: called with the episode and its model when it is the best so far.
        done: called after every episode with it and the best one so far.
    """

    goal: Goal
    searcher: Searcher
    evaluator: Evaluator
    predictor: LatencyPredictor
    journal: Journal
    begun: float
    started: float
    improved: Callable[[Episode, Model], None]
    done: Callable[[Episode, Episode], None]
    clock: Callable[[], float] = time.monotonic

    def run(self, episodes: int, time_budget: float | None) -> bool:
        """Run up to `episodes` in all, and not past `time_budget` seconds; return False when the user interrupted."""
        known = list(self.journal.episodes())
        if state := self.journal.state():
            self.searcher.load(state["searcher"])
            self.predictor.load(state["predictor"])
        best = best_of(self.goal, known)
        try:
            for number in range(len(known), episodes):
                if time_budget is not None and self.elapsed >= time_budget:
                    return True
                best = self._episode(number, best)
        except KeyboardInterrupt:
            return False
        return True

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return self.begun + self.clock() - self.started

    def _episode(self, number: int, best: Episode | None) -> Episode:
        """Run one episode and return the best one so far."""
        asked = self.clock()
        policy = self.searcher.ask()
        asking = self.clock() - asked
        evaluation = self._evaluate(policy, best.outcome if best is not None and best.met else None)
        outcome = evaluation.outcome
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
            seconds={**evaluation.seconds, "agent": asking + self.clock() - told},
            layers=evaluation.latency.layers if evaluation.latency is not None else (),
        )
        self.journal.append(episode, {"searcher": self.searcher.state(), "predictor": self.predictor.state()})
        if best is None or self.goal.rank(episode.outcome) < self.goal.rank(best.outcome):
            best = episode
            if evaluation.model is not None:
                self.improved(episode, evaluation.model)
        self.done(episode, best)
        return best

    def _evaluate(self, policy: Policy, bar: Outcome | None) -> Evaluation:
        try:
            return self.evaluator.evaluate(policy, bar)
        except GalenError as error:
            return Evaluation(Outcome(error=str(error)))
        except MemoryError:
            return Evaluation(Outcome(error="out of memory"))


def best_of(goal: Goal, episodes: list[Episode]) -> Episode | None:
    """Return the episode that comes first in the goal's order, None: there is none."""
    return min(episodes, key=lambda episode: goal.rank(episode.outcome), default=None)
