"""Runners: what a program costs on a target, and what it computes there.

runner = EmulatorRunner(find("cortex-a72"))
runner.latency(program) -> Latency            # modelled, per layer; every kernel is timed once and remembered
runner.outputs(program, {"input": x})         # the whole network on the emulated core
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from galen.backends.cache import LatencyCache, Value
from galen.backends.emulator.clock import Clock, Profile
from galen.backends.emulator.core import Core
from galen.backends.emulator.memory import Memory
from galen.backends.execution import run_on_core
from galen.backends.folders import cache_folder
from galen.backends.kernels.base import Kernel
from galen.backends.latency import Latency, LayerLatency
from galen.backends.objects import objects
from galen.backends.program import Call, Program
from galen.backends.residency import Residency, residency
from galen.backends.samples import samples
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

    def latency(self, program: Program) -> Latency:
        """Return the sum of the kernels' modelled times, each with what the caches hold when its turn comes."""
        profiles = self._profiles(call.kernel for call in program.calls)
        held = residency(program, self.target.cache)
        pairs = zip(program.calls, held, strict=True)
        layers, cycles = zip(*(self._layer(call, profiles[call.kernel], h) for call, h in pairs), strict=True)
        total = sum(layer.latency_ms for layer in layers)
        instructions = sum(layer.instructions for layer in layers)
        return Latency(total, total, total, 1, "modelled", self._clock.name, instructions, sum(cycles), layers)

    def outputs(self, program: Program, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run every kernel of `program` in turn on real data."""
        return run_on_core(program, inputs)

    def _layer(self, call: Call, profile: Profile, held: Residency) -> tuple[LayerLatency, float]:
        kernel, line = call.kernel, self.target.caches["line"]
        cycles = self._clock.cycles(profile, held.resident // line, held.evicted // line)
        milliseconds = cycles / self.target.frequency_hz * 1e3
        layer = LayerLatency(call.layer, call.op, kernel.label, milliseconds, profile.instructions, kernel.macs)
        return layer, cycles

    def _profiles(self, kernels: Iterable[Kernel]) -> dict[Kernel, Profile]:
        """Return what is remembered of the kernels; new ones are compiled together, on all cores, and run in turn."""
        clock = f"{self.target.name}/{self._clock.fingerprint}"
        keys = {kernel: f"{kernel.symbol(self.target)}/{clock}" for kernel in dict.fromkeys(kernels)}
        known = {kernel: self._cache.get(key) for kernel, key in keys.items()}
        new = [kernel for kernel, found in known.items() if found is None]
        objects(new, self.target, self._compiled)
        known.update({kernel: self._remembered(keys[kernel], kernel) for kernel in new})
        return {kernel: Profile.from_json(found) for kernel, found in known.items() if found is not None}

    def _remembered(self, key: str, kernel: Kernel) -> Value:
        return self._cache.get_or(key, lambda: self._run(kernel).to_json())

    def _run(self, kernel: Kernel) -> Profile:
        """Run `kernel` once; on a core of its own, so that nothing depends on what ran before."""
        core = Core(self.target, Memory(self.target.caches))
        core.load(objects([kernel], self.target, self._compiled).values())
        return self._clock.profile(core.call(kernel.symbol(self.target), [samples(spec) for spec in kernel.args]))
