"""Everything that is known before the first episode: baseline, space, goal, sensitivity, first latencies."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from galen.agents.catalogue import make
from galen.agents.knapsack import Knapsack
from galen.agents.layerwise import Layerwise
from galen.agents.problem import Problem
from galen.agents.searcher import Outcome, Searcher
from galen.agents.warm_start import Given, WarmStart
from galen.backends.accuracy import Accuracy
from galen.backends.imports import load_tvm
from galen.backends.latency import Latency
from galen.candidate import Compressor, Stopwatch
from galen.journal import Journal
from galen.options import SearchOptions
from galen.outputs import JOURNAL
from galen.passes.policy import FP32, INT8, Bits, Keep, Policy
from galen.passes.space import LayerRange, Space
from galen.predictor import LatencyPredictor
from galen.probing import Prober
from galen.subject import Subject

MOST_COUNTS = 8
WARM_ALLOCATIONS = 3
"""Each sees how the prediction of the one before it was wrong."""
WARM_POLICIES = 5
"""How many of an earlier search's best policies a new one starts from."""


@dataclass(frozen=True)
class Setup:
    """The search before its first episode.

    Attributes:
        accuracy: scores candidates, on a part of the search data.
        baseline: the uncompressed network, scored on all of it.
        latency: of the baseline, layer by layer.
        problem: what the searcher is told.
    """

    subject: Subject
    compress: Compressor
    accuracy: Accuracy
    baseline: Outcome
    latency: Latency
    predictor: LatencyPredictor
    problem: Problem

    def searcher(self, options: SearchOptions) -> Searcher:
        """Return the searcher, at its beginning."""
        searcher = make(options.agent, self.problem, faithful=options.faithful, reward=options.reward)
        first = self._first(options, searcher.reach) if isinstance(searcher, Layerwise) else None
        return searcher if first is None else WarmStart(*first, searcher)

    def _first(self, options: SearchOptions, space: Space) -> tuple[Searcher, int] | None:
        """Return who proposes the first policies, of `space`, and how many; None: the searcher itself."""
        if options.warm_start == "none":
            return None
        if options.warm_start == "knapsack":
            return Knapsack(replace(self.problem, space=space)), WARM_ALLOCATIONS
        with Journal.open(Path(options.warm_start) / JOURNAL) as journal:
            known = [episode for episode in journal.episodes() if episode.outcome.error is None]
        known.sort(key=lambda episode: self.problem.goal.rank(episode.outcome))
        policies = [space.legal(episode.policy) for episode in known[:WARM_POLICIES]]
        return (Given(policies), len(policies)) if policies else None


def set_up(options: SearchOptions, phase: Callable[[str], None]) -> Setup:
    """Load, score and time the original, probe its layers, and say what is searched for.

    Raises:
        GalenError: model, data or target are at fault.
        UsageError: an option is.
    """
    phase("load")
    load_tvm()
    subject = Subject.load(options)
    compress = Compressor.of(subject, options)
    phase("baseline")
    latency = subject.latency(subject.model)
    size = subject.bytes(subject.model)
    score = subject.accuracy(subject.data)(subject.model)
    baseline = Outcome(score.accuracy, latency.median, size, score.samples)
    accuracy = subject.accuracy(subject.data.take(options.subset))
    score = accuracy(subject.model)
    reference = replace(baseline, accuracy=score.accuracy, samples=score.samples)
    space, predictor = _timed_space(compress, latency)
    space = replace(space, criterion=options.criterion)
    phase("sensitivity")
    sensitivity = Prober.of(compress).sensitivity(space)  # the network's, whatever the seed of the search
    problem = Problem(
        space=replace(space, seed=options.seed),
        goal=options.objective.goal(reference),
        predict=predictor,
        sensitivity=sensitivity,
        accuracy=lambda policy: accuracy(compress(policy, Stopwatch())).accuracy,
        episodes=options.limit,
        seed=options.seed,
    )
    return Setup(subject, compress, accuracy, baseline, latency, predictor, problem)


def _timed_space(compress: Compressor, whole: Latency) -> tuple[Space, LatencyPredictor]:
    """Return the space without widths that save no time, and a predictor that has seen every width, whole and halved.

    A width that makes a layer slower and less accurate is never worth an episode.
    """
    space = _coarse(compress.subject.space())
    predictor = LatencyPredictor(space)
    predictor.learn(space.legal(Policy()), whole)
    halves = {group.name: Keep(-(-group.size // 2), group.size) for group in space.groups}
    for policy in _probes(space, halves):
        predictor.learn(policy, compress.subject.latency(compress.unrepaired(policy)))
    layers = tuple(replace(layer, widths=_paying(layer, space, predictor, halves)) for layer in space.layers)
    return replace(space, layers=layers), predictor


def _coarse(space: Space) -> Space:
    """Return the space with at most `MOST_COUNTS` channel counts per group, evenly spread, the whole always among them.

    Neighbouring counts differ by less than what a search can tell apart, and every count is a kernel to build and time.
    """
    groups = []
    for group in space.groups:
        picked = np.linspace(len(group.counts) - 1, 0, min(MOST_COUNTS, len(group.counts))).round().astype(int)
        groups.append(replace(group, counts=tuple(sorted({group.counts[i] for i in picked}))))
    return replace(space, groups=tuple(groups))


def _probes(space: Space, halves: Mapping[str, Keep]) -> list[Policy]:
    """Return policies to time: every width at all layers, whole and with half the channels, and int8 at every second.

    The last shows what it costs to go from one width to another and back, which hardly depends on the widths.
    """
    found = []
    for widths in sorted({pair for layer in space.layers for pair in layer.widths} | {FP32}, reverse=True):
        names = [layer.name for layer in space.layers if widths in layer.widths]
        for groups, chosen in itertools.product(({}, halves), (names, names[::2]) if widths == INT8 else (names,)):
            policy = space.legal(Policy(groups=groups, layers=dict.fromkeys(chosen, widths)))
            if policy not in found:
                found.append(policy)
    return found


def _paying(
    layer: LayerRange, space: Space, predictor: LatencyPredictor, halves: Mapping[str, Keep]
) -> tuple[Bits, ...]:
    """Return fp32 and the widths at which `layer` is faster than that, whole and halved."""

    def times(bits: Bits) -> list[float]:
        return [predictor.layer(layer, _one(space, layer, bits, groups)) for groups in ({}, halves)]

    fp32 = times(FP32)
    return tuple(
        bits
        for bits in layer.widths
        if bits == FP32 or all(narrow < wide for narrow, wide in zip(times(bits), fp32, strict=True))
    )


def _one(space: Space, layer: LayerRange, bits: Bits, groups: Mapping[str, Keep]) -> Policy:
    return space.legal(Policy(groups=groups, layers={layer.name: bits}))
