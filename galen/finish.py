"""The end of a search: the best candidates scored on all data, the winner fine-tuned, built whole, run and compared."""

from collections.abc import Callable
from dataclasses import astuple, dataclass, field

import numpy as np

from galen.agents.goal import Goal
from galen.agents.searcher import Outcome
from galen.agreement import verify
from galen.backends.build import lower
from galen.boundaries import Arrays
from galen.candidate import Stopwatch
from galen.ir import GalenError, Model
from galen.ir.execute import random_inputs
from galen.journal import Episode, Journal
from galen.options import SearchOptions
from galen.outputs import save_best, save_front
from galen.pareto import front
from galen.passes.quantizable import WIDEST
from galen.passes.recover import Progress, finetune
from galen.passes.recover.training import FLOAT, QUANTIZED, steps_of
from galen.setup import Setup
from galen.watcher import SearchWatcher

INTEGER_SHARE = 0.2
"""Of the epochs of fine-tuning, for integer weights: slower than float ones, and they have not far to go."""
FINALISTS = 3
"""Episodes that are scored on all data: the order on the search's part of it may not be the true one."""


@dataclass(frozen=True)
class Finalist:
    """A candidate with the figures that count."""

    episode: Episode
    model: Model
    outcome: Outcome


@dataclass
class Finisher:
    """Chooses and finishes the winner.

    Attributes:
        goal: with bounds that refer to all of the search data.
        front: the Pareto front of the episodes.
    """

    options: SearchOptions
    setup: Setup
    goal: Goal
    journal: Journal
    watcher: SearchWatcher
    front: tuple[Episode, ...] = field(init=False, default=())

    def run(self) -> Finalist:
        """Return the winner; its files are written.

        Raises:
            GalenError: no episode had a result, or the winner does not compute what it should on the target.
        """
        episodes = self.journal.episodes()
        self.front = front(episodes)
        save_front(self.options.output, episodes)
        winner = min(map(self._scored, self._finalists(episodes)), key=self._rank)
        if self.options.finetune_epochs:
            self.watcher.phase("fine-tune")
            winner = min(winner, self._finetuned(winner.episode), key=self._rank)
        self.watcher.phase("build")
        self._verify(winner)
        save_best(self.options.output, winner.model, winner.episode.policy, self.setup.subject)
        return winner

    def test_accuracy(self, winner: Finalist) -> float | None:
        """Return the winner's accuracy on the test data, None: there is none."""
        test = self.setup.subject.test
        return None if test is None else self.setup.subject.accuracy(test)(winner.model).accuracy

    def _finalists(self, episodes: tuple[Episode, ...]) -> list[Episode]:
        done = [episode for episode in episodes if episode.outcome.error is None]
        if not done:
            errors = sorted({str(episode.outcome.error) for episode in episodes})
            raise GalenError("no candidate had a result", hint=f"the first error: {errors[0]}" if errors else None)
        unlike = {str(episode.policy): episode for episode in reversed(done)}
        return sorted(unlike.values(), key=lambda e: self.setup.problem.goal.rank(e.outcome))[:FINALISTS]

    def _scored(self, episode: Episode) -> Finalist:
        return self._finalist(episode, self.setup.compress(episode.policy, Stopwatch()))

    def _finetuned(self, episode: Episode) -> Finalist:
        """Train the float weights, then, where there are any, the integers that they become."""
        compress, epochs = self.setup.compress, float(self.options.finetune_epochs)
        model = compress.recovered(episode.policy, Stopwatch())
        integer = INTEGER_SHARE if any(min(astuple(b)) <= WIDEST for b in episode.policy.layers.values()) else 0.0
        generator = np.random.default_rng(self.options.seed)
        floats, integers = (1 - integer) * epochs, integer * epochs
        samples = len(self.setup.subject.train)
        before = steps_of(floats, samples, FLOAT)
        total = before + (steps_of(integers, samples, QUANTIZED) if integer else 0)
        self._train(model, floats, generator, lambda step: self.watcher.training(step, total))
        compress.quantize(model, episode.policy)
        if integer:
            self._train(model, integers, generator, lambda step: self.watcher.training(before + step, total))
        return self._finalist(episode, model)

    def _train(self, model: Model, epochs: float, generator: np.random.Generator, taken: Callable[[int], None]) -> None:
        """Train for `epochs`, and say after each step how many were taken."""
        subject, augment = self.setup.subject, self.options.augment

        def report(progress: Progress) -> None:
            taken(progress.step)

        finetune(model, subject.train, epochs, generator, reference=subject.model, augment=augment, report=report)

    def _finalist(self, episode: Episode, model: Model) -> Finalist:
        subject = self.setup.subject
        score = subject.accuracy(subject.data)(model)
        outcome = Outcome(score.accuracy, subject.latency(model).median, subject.bytes(model), score.samples)
        return Finalist(episode, model, outcome)

    def _rank(self, finalist: Finalist) -> tuple[float, ...]:
        return self.goal.rank(finalist.outcome)

    def _verify(self, winner: Finalist) -> None:
        """Run the whole network on the target and compare it with onnxruntime."""
        subject = self.setup.subject
        inputs = random_inputs(winner.model, np.random.default_rng(0), subject.shapes)

        def compute(asked: Model) -> Arrays:
            return subject.runner.outputs(lower(asked, subject.target, subject.shapes), inputs)

        verify(winner.model, compute, inputs, where=subject.target.name)
