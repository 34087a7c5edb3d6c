"""Times programs on a device through TVM's RPC: a board that registered at a tracker, or one addressed directly."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, NoReturn, TypeVar

import numpy as np

from galen.backends.device import is_genuine
from galen.backends.execution import BIG_CORES, CONFIGURE_THREADS, fitted
from galen.backends.latency import Kind, Latency
from galen.backends.link import link
from galen.backends.program import Program
from galen.backends.samples import samples
from galen.backends.target import Target
from galen.ir.errors import GalenError

_LIBRARY = "galen-network.so"
_GRACE = 5.0
"""Seconds that a device has to say itself that a session lasts too long."""
_OUTLIER = 3.0
"""Repeats further from the median than this many (scaled) median absolute deviations are dropped."""

T = TypeVar("T")


@dataclass(frozen=True)
class Connection:
    """Where the device is.

    Attributes:
        address: `HOST:PORT` of the tracker, or of the device itself.
        key: under which devices registered at the tracker; None: `address` is the device.
        timeout: seconds that a session may last.
        attempts: how often to try before giving up.
    """

    address: str
    key: str | None = None
    timeout: int = 120
    attempts: int = 3

    def open(self) -> Any:
        """Return a session, an `RPCSession` of TVM.

        Raises:
            GalenError: the address is malformed.
        """
        from tvm import rpc  # noqa: PLC0415

        host, _, port = self.address.rpartition(":")
        if not host or not port.isdigit():
            raise GalenError(f"not an address: {self.address!r}", hint="HOST:PORT")
        if self.key is None:
            return rpc.connect(host, int(port), session_timeout=self.timeout)
        return rpc.connect_tracker(host, int(port)).request(self.key, session_timeout=self.timeout, max_retry=1)


class RpcRunner:
    """Runs linked programs on a device; times are measured only if it is hardware of the target's kind.

    Args:
        target: what the device is.
        connection: where it is.
        repeats: measurements, at least five.
    """

    def __init__(self, target: Target, connection: Connection, repeats: int = 10) -> None:
        self.target, self._connection, self._repeats = target, connection, max(repeats, 5)

    def latency(self, program: Program) -> Latency:
        """Return the time of one inference, without outliers."""

        def measure(session: Any, machine: Any) -> tuple[np.ndarray, bool]:
            device = session.cpu()
            inputs = [_upload(samples(program.buffers[b]), device) for b in program.inputs.values()]
            evaluate = machine.time_evaluator("main", device, number=1, repeat=self._repeats + 2, min_repeat_ms=20)
            return np.array(evaluate(*inputs).results[2:]) * 1e3, is_genuine(session, self.target)

        times, genuine = self._on_device(program, measure)
        kept = without_outliers(times)
        low, middle, high = (float(value) for value in np.percentile(kept, (10, 50, 90)))
        kind: Kind = "measured" if genuine else "modelled"
        return Latency(middle, low, high, len(kept), kind, None if genuine else "emulated device", None, None)

    def outputs(self, program: Program, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what the linked program computes on the device."""

        def infer(session: Any, machine: Any) -> dict[str, np.ndarray]:
            arguments = [_upload(array, session.cpu()) for array in fitted(program, inputs).values()]
            machine.set_input("main", *arguments)
            machine.invoke_stateful("main")
            results = machine.get_outputs("main")
            results = [results] if len(program.outputs) == 1 else list(results)
            return {name: result.numpy() for name, result in zip(program.outputs, results, strict=True)}

        return self._on_device(program, infer)

    def _on_device(self, program: Program, work: Callable[[Any, Any], T]) -> T:
        """Send the program to the device and do `work` there; try again when the connection fails.

        Raises:
            GalenError: it failed every time.
        """
        failure: Exception | None = None
        with TemporaryDirectory(prefix="galen-") as folder:
            library = link(program, Path(folder, _LIBRARY))
            for attempt in range(self._connection.attempts):
                time.sleep(attempt)
                try:
                    with self._loaded(library) as (session, machine):
                        return work(session, machine)
                except (RuntimeError, OSError) as error:  # TVM's RPC errors are RuntimeErrors
                    failure = error
        lines = str(failure).strip().splitlines() or ["no message"]
        where, hint = self._connection.address, f"tried {self._connection.attempts} times; is it the right device?"
        raise GalenError(f"the device fails: {lines[-1].strip()}", where=where, hint=hint) from failure

    @contextmanager
    def _loaded(self, library: Path) -> Iterator[tuple[Any, Any]]:
        from tvm import relax  # noqa: PLC0415

        session = self._connection.open()
        with _within(self._connection.timeout + _GRACE):
            try:
                session.get_function(CONFIGURE_THREADS)(BIG_CORES, self.target.threads)
                session.upload(str(library))
                yield session, relax.VirtualMachine(session.load_module(library.name), session.cpu())
                session.remove(library.name)
            finally:
                session.get_function("CloseRPCConnection")()


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after `seconds`, and again as often: a device may fall silent, and TVM waits.

    Signals come to the main thread alone; in others, only the limit that the device itself keeps is kept.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _late(_number: int, _frame: FrameType | None) -> NoReturn:
    raise TimeoutError("it does not answer in time")


def without_outliers(times: np.ndarray) -> np.ndarray:
    """Drop times that something else on the device disturbed (Leys et al. 2013, median absolute deviation)."""
    deviation = np.abs(times - np.median(times))
    kept: np.ndarray = times[deviation <= _OUTLIER * 1.4826 * max(float(np.median(deviation)), 1e-9)]
    return kept


def _upload(array: np.ndarray, device: Any) -> Any:
    import tvm  # noqa: PLC0415

    return tvm.runtime.tensor(array, device)
