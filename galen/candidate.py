"""From a policy to a model: cut, recovered, quantized."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from galen.agents.searcher import Outcome
from galen.backends.accuracy import Accuracy
from galen.evaluate import Evaluation
from galen.ir import Model, UsageError
from galen.ir.clone import clone
from galen.ir.coupling import Coupling, Cut, apply_cut, couple
from galen.options import SearchOptions
from galen.passes import origin
from galen.passes.allocation import policy_counts
from galen.passes.criteria.evidence import Evidence, Vector
from galen.passes.policy import Policy
from galen.passes.prune import rank, select
from galen.passes.quantize import Quantize
from galen.passes.recover import Reconstruction, Statistics, distill
from galen.subject import Subject

_STEPS = re.compile(r"steps:(\d+)")


class Recovery(NamedTuple):
    """How a cut model is repaired before it is scored.

    Attributes:
        method: `none`, `statistics` or `reconstruct`; see `galen.passes.recover`.
        steps: of distillation after that.
    """

    method: str
    steps: int

    @classmethod
    def parse(cls, text: str) -> "Recovery":
        """Read `none`, `statistics`, `reconstruct` or `steps:N`, which is `reconstruct` and N steps.

        Raises:
            UsageError: it is none of these.
        """
        if text in ("none", "statistics", "reconstruct"):
            return cls(text, 0)
        if match := _STEPS.fullmatch(text):
            return cls("reconstruct", int(match[1]))
        hint = "none, statistics, reconstruct or steps:N"
        raise UsageError(f"{text!r} is no recovery", where="--recover", hint=hint)


@dataclass
class Stopwatch:
    """Seconds by phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        """Add the time of the block to `phase`."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - begun


@dataclass(frozen=True)
class Compressor:
    """Applies policies to one model."""

    subject: Subject
    recovery: Recovery
    criterion: str
    seed: int

    @classmethod
    def of(cls, subject: Subject, options: SearchOptions) -> "Compressor":
        """Return the compressor that `options` ask for."""
        return cls(subject, Recovery.parse(options.recover), options.criterion, options.seed)

    def __call__(self, policy: Policy, watch: Stopwatch) -> Model:
        """Return a new model under `policy`; deterministic."""
        model = self.recovered(policy, watch)
        with watch("quantize"):
            self.quantize(model, policy)
        return model

    def recovered(self, policy: Policy, watch: Stopwatch) -> Model:
        """Return a new model, cut and repaired, in floating point."""
        with watch("prune"):
            model, cut = self.cut(policy)
        if cut:
            with watch("recover"):
                self._recover(model, cut)
        return model

    def unrepaired(self, policy: Policy) -> Model:
        """Return a new model under `policy` as the passes leave it: for timing and probing."""
        model, _ = self.cut(policy)
        self.quantize(model, policy)
        return model

    def cut(self, policy: Policy) -> tuple[Model, Cut]:
        """Return a pruned copy, and what was kept."""
        model = clone(self.subject.model)
        origin.stamp(model)
        cut = select(self._coupling, self._scores, policy_counts(policy, self._coupling))
        apply_cut(model, cut)
        return model, cut

    @cached_property
    def _coupling(self) -> Coupling:
        return couple(self.subject.model)

    @cached_property
    def _scores(self) -> dict[str, Vector]:
        """Importance of every channel: it depends on no policy, so it is measured once."""
        return rank(Evidence(self.subject.model, self._coupling, self.subject.train, self.seed), self.criterion)

    def _recover(self, model: Model, cut: Cut) -> None:
        subject = self.subject
        if self.recovery.method == "statistics":
            self._statistics.match(model, cut)
        elif self.recovery.method == "reconstruct":
            self._reconstruction.fit(model, cut)
        if self.recovery.steps:
            generator = np.random.default_rng(self.seed)
            distill(model, subject.model, subject.train, self.recovery.steps, generator)

    @cached_property
    def _statistics(self) -> Statistics:
        return Statistics(self.subject.model, self.subject.train)

    @cached_property
    def _reconstruction(self) -> Reconstruction:
        return Reconstruction(self.subject.model, self.subject.train)

    def quantize(self, model: Model, policy: Policy) -> None:
        """Quantize in place, calibrating on the training data."""
        Quantize(policy=policy, train_data=self.subject.train).apply(model)


@dataclass(frozen=True)
class CandidateEvaluator:
    """Scores policies by building them.

    Attributes:
        accuracy: on the part of the search data that candidates are scored on.
    """

    subject: Subject
    compress: Callable[[Policy, Stopwatch], Model]
    accuracy: Accuracy

    @classmethod
    def load(cls, options: SearchOptions) -> "CandidateEvaluator":
        """Return the evaluator of a search, everything read anew.

        Raises:
            GalenError: model, data or target are at fault.
        """
        subject = Subject.load(options)
        compress = Compressor.of(subject, options)
        return cls(subject, compress, subject.accuracy(subject.data.take(options.subset)))

    def evaluate(self, policy: Policy, rivals: Sequence[Outcome]) -> Evaluation:
        """Build, time and score a candidate; see `Evaluator`."""
        watch = Stopwatch()
        model = self.compress(policy, watch)
        with watch("latency"):
            latency = self.subject.latency(model)
        with watch("size"):
            size = self.subject.bytes(model)
        with watch("accuracy"):
            faster = [rival.accuracy for rival in rivals if rival.latency_ms <= latency.median]
            score = self.accuracy(model, max(faster, default=None))
        outcome = Outcome(score.accuracy, latency.median, size, score.samples, raced=not score.complete)
        return Evaluation(outcome, model, latency, watch.seconds)
