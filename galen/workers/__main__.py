"""A worker process: `python -m galen.workers FD`, where FD is its end of a pipe to the driver."""

import contextlib
import os
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import NoReturn

from galen.codec import unpack
from galen.workers.job import Job
from galen.workers.wire import read_options

_PATIENCE = 5.0
"""Seconds between being asked to end and ending."""


def main() -> NoReturn:
    """Answer requests until the driver has gone."""
    signal.signal(signal.SIGTERM, _end)
    _be_killed_first()
    driver = Connection(int(sys.argv[1]))
    told = unpack(driver.recv_bytes())
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(driver, requests), daemon=True).start()
    job = Job(read_options(told["options"]), told["cores"])
    while True:
        driver.send_bytes(job(requests.get()))


def _listen(driver: Connection, requests: "SimpleQueue[bytes]") -> None:
    """Pass on requests; when the driver has gone, even by SIGKILL, end this process in the middle of its work."""
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            requests.put(driver.recv_bytes())
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE)
    os._exit(0)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """Leave through the `finally` clauses, so that temporary files are removed."""
    sys.exit(0)


def _be_killed_first() -> None:
    """Let a kernel out of memory take a worker, which costs one evaluation, and not the driver."""
    with contextlib.suppress(OSError):  # not everywhere may a process say so
        Path("/proc/self/oom_score_adj").write_text("500")


if __name__ == "__main__":
    main()
