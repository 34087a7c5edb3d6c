"""Times programs on this machine, in real time."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from galen.backends.execution import host_machine, is_native, run_on_host
from galen.backends.latency import Latency, LayerLatency
from galen.backends.link import link
from galen.backends.program import Program
from galen.backends.samples import samples
from galen.backends.target import Target
from galen.ir.errors import GalenError

_WARM_UP = 3


@dataclass(frozen=True)
class Plan:
    """How often to time.

    Attributes:
        repeats: measurements; their median counts, the tenth and ninetieth percentile tell the spread.
        seconds: each measurement infers so often that it takes at least this long.
    """

    repeats: int = 10
    seconds: float = 0.005


class LocalRunner:
    """Runs linked programs in this process.

    Args:
        target: `host`, or any target whose code this machine executes.
        plan: how often to time, at least five times.

    Raises:
        GalenError: this machine does not execute code for `target`.
    """

    def __init__(self, target: Target, plan: Plan | None = None) -> None:
        if not is_native(target):
            raise GalenError(f"this machine does not run code for {target.name}", hint="use --runner emulator or rpc")
        self.target, self._plan = target, plan or Plan()
        if self._plan.repeats < 5:
            raise GalenError(f"{self._plan.repeats} measurements say nothing about the spread", hint="at least 5")

    def latency(self, program: Program) -> Latency:
        """Return the measured time of one inference, and of every kernel on its own."""
        import tvm  # noqa: PLC0415

        with TemporaryDirectory(prefix="galen-") as folder:
            library = tvm.runtime.load_module(str(link(program, Path(folder, "network.so"))))
            machine = host_machine(program, library)
            tensors = [tvm.runtime.tensor(_contents(program, index)) for index in range(len(program.buffers))]
            inputs = [tensors[index] for index in program.inputs.values()]
            times = self._times(lambda: machine["main"](*inputs))
            layers = self._layers(program, library, tensors)
        low, middle, high = (float(value) for value in np.percentile(times, (10, 50, 90)))
        return Latency(middle, low, high, len(times), "measured", None, None, None, layers)

    def outputs(self, program: Program, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what the linked program computes in this process."""
        with TemporaryDirectory(prefix="galen-") as folder:
            return run_on_host(program, link(program, Path(folder, "network.so")), inputs)

    def _layers(self, program: Program, library: Any, tensors: Sequence[Any]) -> tuple[LayerLatency, ...]:
        layers = []
        for call in program.calls:
            function = library.get_function(call.kernel.symbol(program.target), query_imports=True)
            args = [_shaped(tensors[program.memory(index)], program.buffers[index].shape) for index in call.args]
            time_ms = median(self._times(lambda: function(*args)))  # noqa: B023
            layers.append(LayerLatency(call.layer, call.op, call.kernel.label, time_ms, None, call.kernel.macs))
        return tuple(layers)

    def _times(self, run: Callable[[], object]) -> list[float]:
        """Return milliseconds of one run, measured as often as planned."""
        for _ in range(_WARM_UP):
            run()
        number = max(1, round(self._plan.seconds / max(_seconds(run, 1), 1e-7)))
        return [_seconds(run, number) / number * 1e3 for _ in range(self._plan.repeats)]


def _seconds(run: Callable[[], object], number: int) -> float:
    start = time.perf_counter()
    for _ in range(number):
        run()
    return time.perf_counter() - start


def _contents(program: Program, buffer: int) -> np.ndarray:
    constant = program.constants.get(buffer)
    return samples(program.buffers[buffer]) if constant is None else constant


def _shaped(tensor: Any, shape: tuple[int, ...]) -> Any:
    """Return the tensor's memory under another shape."""
    import tvm  # noqa: PLC0415

    if tuple(tensor.shape) == shape:
        return tensor
    return tvm.runtime.from_dlpack(np.from_dlpack(tensor).reshape(shape))
