"""Workers on a Ray cluster: the adapter against a stand-in for Ray, and, where Ray is installed, against Ray itself."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from searches import rows, tiny

from galen.agents.searcher import Outcome
from galen.driver import search
from galen.evaluate import Evaluation
from galen.ir import GalenError
from galen.options import SearchOptions
from galen.passes.policy import Policy
from galen.workers import wire
from galen.workers.cluster import connected
from galen.workers.crew import Crew

OPTIONS = SearchOptions(Path("net.onnx"), "data.npz", Path("out"), workers="2@ray://head:10001")
ANSWER = Evaluation(Outcome(0.5, 1.0, 7))


class ActorDiedError(Exception):
    """What Ray raises for an actor that is gone."""


class TimedOutError(Exception):
    """What Ray raises when nothing comes."""


class Actor:
    """One of two machines' actors; the first actor of all dies of its first request."""

    made: list["Actor"]

    def __init__(self, version: str) -> None:
        self.rank, self.killed = -1, False
        number = len(Actor.made)
        self.machine = call(lambda: (f"node-{number % 2}", version))
        self.begin = call(self._begin)
        self.answer = call(lambda request: ActorDiedError() if number == 0 else wire.reply(ANSWER))
        Actor.made.append(self)

    def _begin(self, options: dict[str, Any], rank: int) -> None:
        assert wire.read_options(options).data == OPTIONS.data
        self.rank = rank


def call(function: Callable[..., Any]) -> SimpleNamespace:
    return SimpleNamespace(remote=function)


def get(result: Any, timeout: float | None = None) -> Any:
    if isinstance(result, Exception):
        raise result
    return result


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for Ray that computes at once."""
    from importlib.metadata import version

    module, Actor.made = ModuleType("ray"), []
    options = SimpleNamespace(options=lambda num_cpus: call(lambda: Actor(version("galen"))))
    module.__dict__.update(
        init=lambda address, log_to_driver: None,
        shutdown=lambda: None,
        cluster_resources=lambda: {"CPU": 4.0},
        remote=lambda kind: options,
        get=get,
        kill=lambda actor: setattr(actor, "killed", True),
        exceptions=SimpleNamespace(RayActorError=ActorDiedError, GetTimeoutError=TimedOutError),
    )
    monkeypatch.setitem(sys.modules, "ray", module)
    return module


def test_actors_of_one_machine_get_processors_of_their_own_and_a_dead_one_is_replaced(ray: ModuleType) -> None:
    with connected("ray://head:10001", OPTIONS) as cluster:
        assert cluster.processors == 4
        crew = Crew(2, cluster.hire)
        first, second = crew.submit(Policy(), ()), crew.submit(Policy(), ())
        assert (second(), first()) == (ANSWER, ANSWER)
        assert [actor.rank for actor in Actor.made] == [0, 0, 1]
        crew.close()
        assert [actor.killed for actor in Actor.made] == [False, True, True]


def test_a_cluster_that_does_not_answer_has_no_room_or_another_galen_is_named(
    ray: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(address: str, log_to_driver: bool) -> None:
        raise ConnectionError

    with connected("ray://head:10001", OPTIONS) as cluster:
        monkeypatch.setattr(ray, "get", lambda result, timeout=None: ("node", "0.0.1"))
        with pytest.raises(GalenError, match=r"ray://head:10001: Galen 0\.0\.1 there"):
            cluster.hire(0)
        monkeypatch.setattr(ray, "get", lambda result, timeout=None: get(TimedOutError()))
        with pytest.raises(GalenError, match="no free processor"):
            cluster.hire(0)
    monkeypatch.setattr(ray, "init", refuse)
    with (
        pytest.raises(GalenError, match=r"ray://head:10001: no Ray cluster answers"),
        connected("ray://head:10001", OPTIONS),
    ):
        pass


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(GalenError, match=r"pip install 'galen\[farm\]'"), connected("ray://head:1", OPTIONS):
        pass


@contextmanager
def cluster() -> Iterator[str]:
    """Run a cluster of this machine alone, with two processors."""
    ports = [free_port() for _ in range(2)]
    command = [
        *(sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start", "--head", "--block"),
        *("--num-cpus=2", "--include-dashboard=false", "--disable-usage-stats", "--node-ip-address=127.0.0.1"),
        *(f"--port={ports[0]}", f"--ray-client-server-port={ports[1]}"),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_open(ports[1])
        yield f"ray://127.0.0.1:{ports[1]}"
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until_open(port: int) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.5)
    pytest.fail("the cluster does not start")


def test_a_cluster_finds_what_processes_find(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs Ray: pip install 'galen[farm]'")
    options = replace(tiny(tmp_path), workers="2")
    search(options)
    with cluster() as address:
        search(replace(options, workers=f"2@{address}", output=tmp_path / "ray"))
    assert rows(tmp_path / "ray") == rows(options.output)
