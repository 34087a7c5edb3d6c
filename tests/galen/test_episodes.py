"""The loop and its journal: what was interrupted goes on exactly as if it had not been."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from galen.agents.catalogue import NAMES, make
from galen.agents.goal import Goal
from galen.agents.problem import Problem
from galen.agents.searcher import Outcome
from galen.backends.latency import Latency, LayerLatency
from galen.episodes import Loop
from galen.evaluate import Evaluation, attempt
from galen.ir import GalenError
from galen.journal import Journal
from galen.passes.policy import FP32, INT8, Policy
from galen.passes.space import GroupRange, LayerRange, Space
from galen.predictor import LatencyPredictor
from galen.workers.pool import Awaited, Inline, Pool

SPACE = Space(
    groups=tuple(GroupRange(f"conv{i}", 16, (4, 8, 12, 16)) for i in range(3)),
    layers=tuple(
        LayerRange(f"conv{i}", "Conv", 1000, 100, 16, 16, 3, 1, {f"conv{i}": 16}, {}, (INT8, FP32)) for i in range(3)
    ),
)


class Toy:
    """Latency counts channels, accuracy mourns them; the policy that keeps 4 of conv0 cannot be built."""

    def evaluate(self, policy: Policy, rivals: Sequence[Outcome]) -> Evaluation:
        if policy.groups["conv0"].keep == 4:
            raise GalenError("cannot be lowered", where="conv0")
        layers = tuple(
            LayerLatency(name, "Conv", "toy", policy.groups[name].keep / 16, None, 0) for name in policy.groups
        )
        total = sum(layer.latency_ms for layer in layers)
        int8 = sum(bits == INT8 for bits in policy.layers.values())
        latency = Latency(total, total, total, 1, "modelled", "toy", None, None, layers)
        return Evaluation(Outcome(0.9 - 0.05 * (3 - total) - 0.001 * int8, total, 100), latency=latency)


class Hurrying:
    """A pool whose workers take as long as chance decides."""

    def __init__(self, size: int, seconds: float = 0.0) -> None:
        self.size, self._seconds = size, seconds
        self._threads, self._random = ThreadPoolExecutor(size), np.random.default_rng()

    def submit(self, policy: Policy, rivals: Sequence[Outcome]) -> Awaited:
        return self._threads.submit(self._slowly, policy, rivals).result

    def _slowly(self, policy: Policy, rivals: Sequence[Outcome]) -> Evaluation:
        time.sleep(self._seconds + 0.003 * self._random.random())
        return attempt(lambda: Toy().evaluate(policy, rivals))


def loop(journal: Journal, agent: str, pool: Pool | None = None) -> Loop:
    predictor = LatencyPredictor(SPACE)
    whole = SPACE.legal(Policy())
    reference = Toy().evaluate(whole, ())
    predictor.learn(whole, reference.latency)
    goal = Goal(reference.outcome, max_latency_ms=1.8)
    searcher = make(agent, Problem(SPACE, goal, predictor, seed=3))
    return Loop(
        goal,
        searcher,
        pool or Inline(Toy()),
        predictor,
        journal,
        begun=0.0,
        started=0.0,
        improved=lambda *_: None,
        done=lambda *_: None,
        clock=itertools.count().__next__,
    )


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_episodes import Journal, loop
from galen.ir import GalenError
with Journal.open(Path(sys.argv[1]), create=True) as journal:
    loop(journal, "joint").run(3, None)
    size = sum(path.stat().st_size for path in Path(sys.argv[1]).parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * size, 2 * size))
    try:
        loop(journal, "joint").run(24, None)
    except GalenError as error:
        print(error)
"""


def results(journal: Journal) -> list[tuple]:
    return [(e.number, str(e.policy), e.outcome, e.met, e.reward, e.layers) for e in journal.episodes()]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("agent", [name for name in NAMES if name != "gaussian"])
def test_a_resumed_search_has_the_journal_of_an_unbroken_one(agent: str, workers: int, tmp_path: Path) -> None:
    with Journal.open(tmp_path / "whole.db", create=True) as whole:
        loop(whole, agent, Hurrying(workers)).run(26, None)
        expected = results(whole)
    for stop in (5, 17, 26):
        with Journal.open(tmp_path / "broken.db", create=True) as journal:
            loop(journal, agent, Hurrying(workers)).run(stop, None)
    with Journal.open(tmp_path / "broken.db") as journal:
        assert results(journal) == expected


def test_one_worker_is_this_process(tmp_path: Path) -> None:
    for name, pool in (("inline", Inline(Toy())), ("one", Hurrying(1))):
        with Journal.open(tmp_path / name, create=True) as journal:
            loop(journal, "joint", pool).run(20, None)
    with Journal.open(tmp_path / "inline") as one, Journal.open(tmp_path / "one") as other:
        assert results(one) == results(other)


@pytest.mark.parametrize("agent", ["random", "bayesian", "evolutionary", "uniform"])
def test_what_is_asked_for_at_once_differs(agent: str, tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db", create=True) as journal:
        loop(journal, agent, Hurrying(4)).run(4, None)
        assert len({str(episode.policy) for episode in journal.episodes()}) > 1


def test_a_candidate_that_cannot_be_built_is_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db", create=True) as journal:
        loop(journal, "random").run(30, None)
        failed = [e for e in journal.episodes() if e.outcome.error]
        assert {e.outcome.error for e in failed} == {"conv0: cannot be lowered"}
        assert 0 < len(failed) < 30
        assert all(e.policy.groups["conv0"].keep == 4 and not e.met for e in failed)


@pytest.mark.parametrize("allocate", [np.empty, torch.empty])
def test_running_out_of_memory_costs_one_candidate(allocate: Callable[[int], object], tmp_path: Path) -> None:
    class Hungry(Toy):
        def evaluate(self, policy: Policy, rivals: Sequence[Outcome]) -> Evaluation:
            allocate(10**15)
            return super().evaluate(policy, rivals)

    with Journal.open(tmp_path / "journal.db", create=True) as journal:
        assert loop(journal, "random", Inline(Hungry())).run(3, None)
        assert [e.outcome.error for e in journal.episodes()] == ["out of memory"] * 3


def test_an_interrupt_ends_the_loop_and_keeps_what_was_done(tmp_path: Path) -> None:
    class Impatient(Toy):
        calls = 0

        def evaluate(self, policy: Policy, rivals: Sequence[Outcome]) -> Evaluation:
            self.calls += 1
            if self.calls == 4:
                raise KeyboardInterrupt
            return super().evaluate(policy, rivals)

    with Journal.open(tmp_path / "journal.db", create=True) as journal:
        assert not loop(journal, "random", Inline(Impatient())).run(10, None)
        assert len(journal.episodes()) == 3


def test_the_time_budget_counts_earlier_runs(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db", create=True) as journal:
        searching = loop(journal, "random")
        searching.begun = 100.0
        searching.run(50, 120.0)
        assert 0 < len(journal.episodes()) < 10


@pytest.mark.parametrize("workers", ["1", "3"])
def test_sigkill_at_any_moment_loses_at_most_the_running_episodes(workers: str, tmp_path: Path) -> None:
    with Journal.open(tmp_path / "whole.db", create=True) as whole:
        loop(whole, "joint", Hurrying(int(workers))).run(24, None)
        expected = results(whole)
    path, draw = tmp_path / "killed.db", np.random.default_rng(0)
    kills = 0
    for _ in range(10):
        process = subprocess.Popen([sys.executable, __file__, str(path), workers])
        time.sleep(1.0 + 1.5 * draw.random())
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    with Journal.open(path, create=True) as journal:
        loop(journal, "joint", Hurrying(int(workers))).run(24, None)
        assert results(journal) == expected


def test_a_full_disk_ends_the_search_and_what_was_written_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, path, Path(__file__).parent], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r".*journal\.db: cannot be written: .+ \(make room, then --resume\)\n", done.stdout), done
    with Journal.open(tmp_path / "whole.db", create=True) as whole, Journal.open(path) as journal:
        loop(whole, "joint").run(24, None)
        assert 0 < len(journal.episodes()) < 24
        loop(journal, "joint").run(24, None)
        assert results(journal) == results(whole)


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("not a database, but long enough to be read as one" * 30)
    with pytest.raises(GalenError, match="not a journal"), Journal.open(tmp_path / "journal.db"):
        pass
    with pytest.raises(GalenError, match="no journal"), Journal.open(tmp_path / "nothing.db"):
        pass


if __name__ == "__main__":
    with Journal.open(Path(sys.argv[1]), create=True) as killed:
        loop(killed, "joint", Hurrying(int(sys.argv[2]), 0.05)).run(24, None)
