"""Runners: what a program costs on a target, and what it computes there.

runner = EmulatorRunner(find("cortex-a72"))
runner.latency(program) -> Latency            # modelled, per layer; every kernel is timed once and remembered
runner.outputs(program, {"input": x})         # the whole network on the emulated core
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from galen.backends.cache import LatencyCache, Value
from galen.backends.emulator.clock import Clock
from galen.backends.emulator.core import Core
from galen.backends.folders import cache_folder
from galen.backends.kernels.base import Kernel, Spec
from galen.backends.latency import Latency, LayerLatency
from galen.backends.objects import objects
from galen.backends.program import Call, Program
from galen.backends.target import Target
from galen.ir.errors import GalenError


class Runner(Protocol):
    """Times programs of one target and runs them."""

    def latency(self, program: Program) -> Latency:
        """Return the time of one inference, batch as lowered, one thread.

        Raises:
            GalenError: the device or a kernel fails.
        """
        ...

    def outputs(self, program: Program, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return what the program computes on the target, by output name."""
        ...


class EmulatorRunner:
    """Runs kernels on an emulated core; times come from `Clock` and are modelled.

    Args:
        target: which core.
        cache: where times of kernels are kept; by default in the user's cache folder.
        compiled: folder of compiled kernels, see `galen.backends.objects`.
    """

    def __init__(self, target: Target, cache: LatencyCache | None = None, compiled: Path | None = None) -> None:
        if not target.pipeline:
            raise GalenError(f"target {target.name} cannot be emulated", hint="use --runner local")
        self.target, self._compiled = target, compiled
        self._clock = Clock(target)
        self._cache = cache or LatencyCache(cache_folder() / "latency.db")

    @cached_property
    def _core(self) -> Core:
        return Core(self.target)

    def latency(self, program: Program) -> Latency:
        """Return the sum of the kernels' modelled times."""
        layers = [self._layer(call) for call in program.calls]
        total = sum(latency.latency_ms for latency, _ in layers)
        return Latency(
            median=total,
            p10=total,
            p90=total,
            runs=1,
            kind="modelled",
            model=self._clock.name,
            instructions=sum(latency.instructions or 0 for latency, _ in layers),
            cycles=sum(cycles for _, cycles in layers),
            layers=tuple(latency for latency, _ in layers),
        )

    def outputs(self, program: Program, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run every kernel of `program` in turn on real data."""
        core = self._core
        core.load(objects((call.kernel for call in program.calls), self.target, self._compiled).values())
        values = {program.inputs[name]: array for name, array in inputs.items()} | dict(program.constants)
        placed = [core.place(values.get(index, zeros(spec))) for index, spec in enumerate(program.buffers)]
        try:
            for call in program.calls:
                core.call(call.kernel.symbol(self.target), [placed[index] for index in call.args])
            return {name: placed[index].array.copy() for name, index in program.outputs.items()}
        finally:
            for item in placed:
                core.release(item)

    def _layer(self, call: Call) -> tuple[LayerLatency, float]:
        kernel = call.kernel
        key = f"{kernel.symbol(self.target)}/{self.target.name}/{self._clock.name}"
        timed = self._cache.get_or(key, lambda: self._time(kernel))
        milliseconds = timed["cycles"] / self.target.frequency_hz * 1e3
        layer = LayerLatency(call.layer, call.op, kernel.family, milliseconds, timed["instructions"], kernel.macs)
        return layer, timed["cycles"]

    def _time(self, kernel: Kernel) -> Value:
        symbol = kernel.symbol(self.target)
        self._core.load(objects([kernel], self.target, self._compiled).values())
        execution = self._core.call(symbol, [samples(spec) for spec in kernel.args])
        cycles = self._clock.cycles(execution, self._core.code)
        return {"instructions": execution.instructions, "cycles": cycles}


def zeros(spec: Spec) -> np.ndarray:
    """Return an empty buffer."""
    return np.zeros(spec.shape, spec.dtype)


def samples(spec: Spec) -> np.ndarray:
    """Return values to time a kernel with: small, positive, the same every time."""
    values = np.arange(int(np.prod(spec.shape))) % 5
    return (values / 4 if np.dtype(spec.dtype).kind == "f" else values).astype(spec.dtype).reshape(spec.shape)
