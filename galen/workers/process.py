"""Workers as processes of this machine.

They are started afresh, not forked, and in sessions of their own: Ctrl-C reaches the driver alone, which ends them with
everything that they started.
"""

import contextlib
import os
import signal
import subprocess
import sys
from multiprocessing.connection import Pipe
from pathlib import Path

from galen.codec import pack
from galen.options import SearchOptions
from galen.workers import wire
from galen.workers.job import share

_PATIENCE = 5.0
"""Seconds that a worker has to clean up after itself."""


class WorkerProcess:
    """A hand of `galen.workers.crew`: runs `galen.workers.__main__`."""

    def __init__(self, options: SearchOptions, size: int, place: int) -> None:
        self._pipe, other = Pipe()
        with other:
            self._process = _started(other.fileno())
        cores = share(place, size, os.sched_getaffinity(0))
        self.send(pack({"options": wire.options(options), "cores": cores}))

    def send(self, request: bytes) -> None:
        """Send the request; that the worker is dead shows when its reply is awaited."""
        with contextlib.suppress(ConnectionError):
            self._pipe.send_bytes(request)

    def receive(self) -> bytes | None:
        """Return the reply, None: the worker was killed.

        Raises:
            RuntimeError: the worker failed where it should not; what it wrote to standard error says how.
        """
        try:
            return self._pipe.recv_bytes()
        except (EOFError, ConnectionError):
            if (code := self._process.wait()) > 0:
                raise RuntimeError(f"a worker process failed with exit code {code}") from None
            return None

    def stop(self) -> None:
        """Ask the worker, and what it has started, to end."""
        self._signal(signal.SIGTERM)

    def end(self) -> None:
        """Wait a little, then kill what is left."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._pipe.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _started(pipe: int) -> "subprocess.Popen[bytes]":
    """Start a worker that finds the modules that this process finds, and prints where errors go."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "galen.workers", str(pipe)],
        pass_fds=[pipe],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=2,
        start_new_session=True,
    )
