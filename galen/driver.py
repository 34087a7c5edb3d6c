"""The search driver: the one place where model, space, searcher, target and data meet.

result = search(SearchOptions(model=Path("net.onnx"), data="val.npz", output=Path("out")))
"""

import time
from dataclasses import dataclass, replace

from galen.agents.catalogue import check
from galen.candidate import CandidateEvaluator, Recovery
from galen.episodes import Loop
from galen.finish import Finisher
from galen.ir import GalenError
from galen.journal import Journal
from galen.options import SearchOptions
from galen.outputs import JOURNAL, REPORT, prepared, save_best
from galen.record import record_result, record_setup
from galen.report.page import write as write_report
from galen.result import SearchResult
from galen.retell import run_of
from galen.setup import Setup, set_up
from galen.watcher import SearchWatcher, Silent
from galen.workers.hiring import hired
from galen.workers.pool import Pool


def search(options: SearchOptions, watcher: SearchWatcher | None = None) -> SearchResult:
    """Search for the best compression of a model, and leave it in `options.output`.

    Raises:
        GalenError: model, data, target or output folder are at fault, or no candidate had a result.
        UsageError: an option is out of range.
        KeyboardInterrupt: the user stopped before or after the episodes; what was best so far is saved.
    """
    started = time.monotonic()
    Recovery.parse(options.recover)
    check(options.agent, faithful=options.faithful, reward=options.reward)
    with (
        prepared(options.output, resume=options.resume),
        Journal.open(options.output / JOURNAL, create=True) as journal,
    ):
        _check_options(journal, options)
        return _Search(options, journal, watcher or Silent(), started).run()


def _check_options(journal: Journal, options: SearchOptions) -> None:
    """Write down the options of a new search; refuse to go on with an old one under others."""
    now, before = options.to_json(), journal.fact("options")
    if before is None:
        journal.record("options", now)
        return
    if changed := sorted(key for key in now if now[key] != before.get(key)):
        key = changed[0]
        text = f"the search was begun with --{key.replace('_', '-')} {before.get(key)}, not {now[key]}"
        raise GalenError(text, where=str(journal.path), hint="resume with the same options")


@dataclass
class _Search:
    options: SearchOptions
    journal: Journal
    watcher: SearchWatcher
    started: float

    def run(self) -> SearchResult:
        options, journal = self.options, self.journal
        setup = set_up(options, self.watcher.phase)
        record_setup(journal, options, setup)
        known = journal.episodes()
        self.watcher.ready(options, setup.problem.goal, len(known))
        self.watcher.phase("episodes")
        evaluator = CandidateEvaluator(setup.subject, setup.compress, setup.accuracy)
        with hired(options, evaluator, journal.fact("workers")) as pool:
            journal.record("workers", pool.size)
            loop = self._loop(setup, pool, known[-1].elapsed if known else 0.0)
            finished = loop.run(options.limit, options.time_budget)
        if not finished and all(episode.outcome.error is not None for episode in journal.episodes()):
            raise KeyboardInterrupt
        return self._finish(setup, loop, finished)

    def _loop(self, setup: Setup, pool: Pool, begun: float) -> Loop:
        return Loop(
            goal=setup.problem.goal,
            searcher=setup.searcher(self.options),
            pool=pool,
            predictor=setup.predictor,
            journal=self.journal,
            begun=begun,
            started=self.started,
            improved=lambda episode, model: save_best(self.options.output, model, episode.policy, setup.subject),
            done=self.watcher.episode,
        )

    def _finish(self, setup: Setup, loop: Loop, finished: bool) -> SearchResult:
        options = self.options if finished else replace(self.options, finetune_epochs=0)
        goal = options.objective.goal(setup.baseline)
        finisher = Finisher(options, setup, goal, self.journal, self.watcher)
        winner = finisher.run()
        result = SearchResult(
            baseline=setup.baseline,
            best=winner.outcome,
            test_accuracy=finisher.test_accuracy(winner),
            met=goal.met(winner.outcome),
            episodes=len(self.journal.episodes()),
            seconds=loop.elapsed,
            seed=options.seed,
            agent=options.agent,
            target=setup.subject.target.name,
            kind=setup.latency.kind,
            finished=finished,
            front=finisher.front,
        )
        record_result(self.journal, result, winner)
        write_report([run_of(self.journal)], options.output / REPORT)
        return result


__all__ = ["SearchOptions", "SearchResult", "search"]
