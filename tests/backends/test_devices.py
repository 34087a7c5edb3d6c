"""Devices behind RPC that die or fall silent: each costs one measurement."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from one_conv import example, program

from galen.backends.rpc_runner import Connection, RpcRunner
from galen.backends.targets import find
from galen.ir.errors import GalenError

SERVER = """
import sys
from tvm import rpc
if __name__ == "__main__":
    server = rpc.Server("127.0.0.1", int(sys.argv[1]), int(sys.argv[1]) + 1, silent=True)
    print(server.port, flush=True)
    sys.stdin.read()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Device:
    """TVM's own RPC server, in processes of this machine."""

    script: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[str]" = field(init=False)

    def start(self) -> None:
        command = [sys.executable, str(self.script), str(self.port)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{self.port}\n"

    def send(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def is_serving(self) -> bool:
        """Return whether a session is on: every one has a process of its own, beside the one that listens."""
        group = [path.read_text().rpartition(") ")[2].split() for path in Path("/proc").glob("[0-9]*/stat")]
        return sum(int(fields[2]) == self.process.pid for fields in group) > 2

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    script = tmp_path_factory.mktemp("device") / "server.py"
    script.write_text(SERVER)
    device = Device(script)
    device.start()
    yield device
    device.send(signal.SIGKILL)
    device.process.wait()


def test_a_device_that_is_killed_in_the_middle_costs_one_measurement(device: Device) -> None:
    lost: list[int] = []

    def lose() -> None:
        while not device.is_serving():
            time.sleep(0.05)
        time.sleep(0.5)
        device.send(signal.SIGKILL)
        lost.append(device.process.wait())
        device.start()

    murderer = threading.Thread(target=lose)
    murderer.start()
    latency = RpcRunner(find("host"), Connection(device.address, attempts=20), repeats=100).latency(program("host"))
    murderer.join()
    assert lost == [-signal.SIGKILL]
    assert 0 < latency.p10 <= latency.median <= latency.p90


def test_a_device_computes_the_reference(device: Device) -> None:
    x, expected = example()
    found = RpcRunner(find("host"), Connection(device.address)).outputs(program("host"), {"x": x})["y"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_device_that_falls_silent_is_given_up_in_time(device: Device) -> None:
    runner = RpcRunner(find("host"), Connection(device.address, timeout=2, attempts=1), repeats=2000)
    threading.Timer(1.5, lambda: device.send(signal.SIGSTOP)).start()
    started = time.monotonic()
    with pytest.raises(GalenError, match=r"does not answer in time|the device fails"):
        runner.latency(program("host"))
    assert time.monotonic() - started < 60
    device.send(signal.SIGCONT)
