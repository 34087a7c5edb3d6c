"""Evaluating in worker processes: in order, whatever dies, and with nothing left behind."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from onnx_text import model
from searches import rows, running, tiny, until

from galen.agents.searcher import Outcome
from galen.backends.emulator.native import hooks
from galen.backends.folders import cache_folder
from galen.backends.latency import Latency, LayerLatency
from galen.driver import search
from galen.evaluate import Evaluation
from galen.ir import UsageError
from galen.options import SearchOptions
from galen.passes.policy import INT8, Keep, Policy
from galen.runners import RunnerOptions
from galen.workers import wire
from galen.workers.choice import WorkerChoice
from galen.workers.crew import Crew
from galen.workers.job import share

POLICY = Policy({"conv": Keep(4, 8)}, {"conv": INT8})
LAYER = LayerLatency("conv", "Conv", "direct", 0.1, 1000, 500)
LATENCY = Latency(0.1, 0.1, 0.1, 1, "modelled", "clock", 1000, 2000.5, (LAYER,))


class FakeHand:
    """Answers with its place as accuracy; dies as often as its place has lives to lose."""

    def __init__(self, place: int, deaths: dict[int, int]) -> None:
        self._place, self._deaths, self.ended = place, deaths, False

    def send(self, request: bytes) -> None:
        assert wire.read_request(request)[0] == POLICY

    def receive(self) -> bytes | None:
        if self._deaths.get(self._place, 0):
            self._deaths[self._place] -= 1
            return None
        return wire.reply(Evaluation(Outcome(self._place / 10, 1.0, 1)))

    def stop(self) -> None:
        self.ended = True

    def end(self) -> None:
        self.ended = True


def crew(deaths: dict[int, int]) -> tuple[Crew, list[FakeHand]]:
    hands: list[FakeHand] = []

    def hire(place: int) -> FakeHand:
        hands.append(FakeHand(place, deaths))
        return hands[-1]

    return Crew(2, hire), hands


def test_a_killed_workers_evaluation_is_repeated_once_by_a_new_one() -> None:
    pool, hands = crew({0: 1})
    assert pool.submit(POLICY, ())().outcome == Outcome(0.0, 1.0, 1)
    assert [hand.ended for hand in hands] == [True, False]


def test_a_candidate_that_kills_two_workers_has_no_result_and_the_crew_goes_on() -> None:
    pool, hands = crew({0: 2})
    assert pool.submit(POLICY, ())().outcome.error == "its worker died, 2 times"
    assert pool.submit(POLICY, ())().outcome.accuracy == 0.0
    pool.close()
    assert all(hand.ended for hand in hands)


def test_workers_are_hired_when_needed_and_kept() -> None:
    pool, hands = crew({})
    for _ in range(3):
        first, second = pool.submit(POLICY, ()), pool.submit(POLICY, ())
        assert {second().outcome.accuracy, first().outcome.accuracy} == {0.0, 0.1}
    assert len(hands) == 2


def test_what_driver_and_worker_tell_each_other_arrives_whole() -> None:
    outcome = Outcome(0.1 + 0.2, 1 / 3, 100, 300, raced=True)
    assert wire.read_request(wire.request(POLICY, [outcome])) == (POLICY, (outcome,))
    network = model("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }")
    sent = Evaluation(outcome, network, LATENCY, {"prune": 0.5})
    got = wire.read_reply(wire.reply(sent))
    assert (got.outcome, got.latency, got.seconds) == (outcome, LATENCY, {"prune": 0.5})
    assert got.model is not None
    assert [node.op_type for node in got.model.graph] == ["Relu"]
    assert wire.read_reply(wire.reply(Evaluation(Outcome(error="no")))) == Evaluation(Outcome(error="no"))
    options = SearchOptions(Path("a.onnx"), "d.npz", Path("out"), shapes={"x": (1, 3)}, workers="2")
    assert wire.read_options(wire.options(options)) == options


@pytest.mark.parametrize(
    ("place", "size", "cores", "expected"),
    [(0, 2, {0, 1, 2, 3}, [0, 2]), (1, 2, {0, 1, 2, 3}, [1, 3]), (1, 2, {4}, [4]), (4, 5, {0, 3}, [0])],
)
def test_workers_divide_the_processors(place: int, size: int, cores: set[int], expected: list[int]) -> None:
    assert share(place, size, cores) == expected


def test_the_choice_of_workers() -> None:
    assert WorkerChoice.parse("1").is_inline
    assert WorkerChoice.parse("8") == WorkerChoice(8, None)
    assert WorkerChoice.parse("ray://head:10001") == WorkerChoice(None, "ray://head:10001")
    assert WorkerChoice.parse("4@ray://10.0.0.1:10001") == WorkerChoice(4, "ray://10.0.0.1:10001")


@pytest.mark.parametrize("text", ["0", "-1", "two", "", "2@", "4ray://a:1", "ray://head", "2@head:1"])
def test_what_names_no_workers_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="names no workers"):
        WorkerChoice.parse(text)


def test_workers_need_a_file_and_time_nothing_on_this_machine() -> None:
    options = SearchOptions(Path("net.onnx"), "d.npz", Path("out"), workers="2")
    with pytest.raises(UsageError, match="standard input"):
        replace(options, model=Path("-"))
    with pytest.raises(UsageError, match="disturb"):
        replace(options, target="host")
    with pytest.raises(UsageError, match="disturb"):
        replace(options, runner=RunnerOptions("local"))


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchOptions]:
    """A search by two workers, begun and ended, and another at the same time with the same cache, empty at first."""
    folder, native = tmp_path_factory.mktemp("tiny"), hooks_folder()
    options = replace(tiny(folder), workers="2")
    (folder / "cache" / "galen").mkdir(parents=True)
    (folder / "cache" / "galen" / "native").symlink_to(native)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        with (
            running(replace(options, output=folder / "out")) as one,
            running(replace(options, output=folder / "other")) as other,
        ):
            assert {one.wait(480), other.wait(480)} <= {0, 3}
        yield options


def hooks_folder() -> Path:
    """Return where the emulator's compiled helpers are: what takes longest to make, and is no kernel."""
    hooks()
    return cache_folder("native")


def test_two_searches_that_share_a_cache_at_once_find_what_one_finds(options: SearchOptions) -> None:
    assert len(rows(options.output)) == options.episodes
    assert rows(options.output.with_name("other")) == rows(options.output)


def workers_of(process: "subprocess.Popen[bytes]") -> list[int]:
    """Return the numbers of the workers of `process` that live: it starts others too, a linker for one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == process.pid and fields[0] != "Z" and b"galen.workers" in command:
            found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_neither_a_killed_worker_nor_a_killed_driver_changes_the_journal(
    options: SearchOptions, tmp_path: Path
) -> None:
    broken = replace(options, output=tmp_path / "out")
    with running(broken) as process:
        until(lambda: len(workers_of(process)) == 2)
        first = workers_of(process)
        os.kill(first[0], signal.SIGKILL)
        until(lambda: bool(set(workers_of(process)) - set(first)))
        until((broken.output / "best.onnx").exists)
        workers = workers_of(process)
    until(lambda: not any(map(alive, workers)), 30)
    assert search(replace(broken, resume=True)).episodes == broken.episodes
    assert rows(broken.output) == rows(options.output)
    assert not any(episode[2].error for episode in rows(broken.output))


def test_an_interrupt_leaves_no_worker_behind(options: SearchOptions, tmp_path: Path) -> None:
    with running(replace(options, output=tmp_path / "out", episodes=100_000)) as process:
        until((tmp_path / "out" / "best.onnx").exists)
        workers = workers_of(process)
        assert len(workers) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(240) == 130
        assert not any(map(alive, workers))
