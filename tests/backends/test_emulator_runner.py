"""The emulator runner: times add up by layer, are remembered by kernel, and the network computes what numpy does."""

from pathlib import Path

import numpy as np
import pytest

from galen.backends.cache import LatencyCache
from galen.backends.emulator.clock import Clock
from galen.backends.emulator.core import Core
from galen.backends.emulator.memory import Memory
from galen.backends.execution import Network
from galen.backends.kernels.base import Image
from galen.backends.kernels.conv import DirectConv
from galen.backends.kernels.window import Window
from galen.backends.program import Call, Program
from galen.backends.runner import EmulatorRunner
from galen.backends.targets import find
from galen.ir.errors import GalenError

CONV = DirectConv(Image(1, 8, 8, 8, 1), Image(1, 8, 8, 8, 1), Window(3, 3, top=1, left=1))


def twice(target_name: str) -> Program:
    """Return two equal convolutions in a row."""
    source, weights, bias, sink = CONV.args
    rng = np.random.default_rng(0)
    constants = {1: rng.standard_normal(weights.shape).astype(np.float32), 2: np.ones(bias.shape, np.float32)}
    calls = (Call(CONV, (0, 1, 2, 3), "first", "Conv"), Call(CONV, (3, 1, 2, 4), "second", "Conv"))
    buffers = (source, weights, bias, sink, sink)
    return Program(find(target_name), buffers, constants, {"x": 0}, {"y": 4}, calls)


@pytest.fixture
def runner(tmp_path: Path) -> EmulatorRunner:
    return EmulatorRunner(find("cortex-a72"), LatencyCache(tmp_path / "times.db"))


def test_layers_add_up(runner: EmulatorRunner) -> None:
    latency = runner.latency(twice("cortex-a72"))
    assert latency.kind == "modelled"
    assert latency.model
    assert [(a.name, a.op, a.kernel) for a in latency.layers] == [
        ("first", "Conv", "direct"),
        ("second", "Conv", "direct"),
    ]
    assert latency.median == pytest.approx(sum(a.latency_ms for a in latency.layers))
    assert latency.instructions == sum(a.instructions or 0 for a in latency.layers) > CONV.macs / 4
    assert latency.cycles == pytest.approx(latency.median * 1.8e6)


def test_a_second_runner_times_nothing(runner: EmulatorRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = runner.latency(twice("cortex-a72"))
    again = EmulatorRunner(find("cortex-a72"), LatencyCache(tmp_path / "times.db"))
    monkeypatch.setattr(again, "_run", None)
    assert again.latency(twice("cortex-a72")) == first


def test_times_do_not_depend_on_the_cache(runner: EmulatorRunner, tmp_path: Path) -> None:
    other = EmulatorRunner(find("cortex-a72"), LatencyCache(tmp_path / "other.db"))
    assert other.latency(twice("cortex-a72")) == runner.latency(twice("cortex-a72"))


def test_outputs_are_the_references(runner: EmulatorRunner) -> None:
    program = twice("cortex-a72")
    x = CONV.source.place(np.random.default_rng(1).standard_normal((1, 8, 8, 8)).astype(np.float32))
    found = runner.outputs(program, {"x": x})["y"]
    weights, bias = program.constants[1], program.constants[2]
    middle = CONV.reference(x, weights, bias)[0]
    np.testing.assert_allclose(found, CONV.reference(middle, weights, bias)[0], atol=1e-4)


def test_an_in_order_core_needs_more_cycles(tmp_path: Path) -> None:
    cache = LatencyCache(tmp_path / "times.db")
    cycles = {
        name: EmulatorRunner(find(name), cache).latency(twice(name)).cycles for name in ("cortex-a53", "cortex-a72")
    }
    assert (cycles["cortex-a53"] or 0) > 1.2 * (cycles["cortex-a72"] or 0)


def test_sums_of_kernels_agree_with_caches_that_live_through_the_network(runner: EmulatorRunner) -> None:
    target, program = find("cortex-a72"), twice("cortex-a72")
    network = Network(program, Core(target, Memory(target.caches)))
    network.run({"x": np.ones(CONV.source.spec.shape, np.float32)})
    clock = Clock(target)
    cycles = sum(clock.cycles(clock.profile(network.execute(call))) for call in program.calls)
    assert runner.latency(program).cycles == pytest.approx(cycles, rel=0.05)


def test_host_is_not_emulated() -> None:
    with pytest.raises(GalenError, match="target host cannot be emulated"):
        EmulatorRunner(find("host"))
