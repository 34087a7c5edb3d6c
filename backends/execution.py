"""Running a program: in this process through TVM's virtual machine, or kernel by kernel on an emulated ARM core."""

from collections.abc import Mapping
from pathlib import Path
from platform import machine
from typing import TYPE_CHECKING

import numpy as np

from galen.backends.emulator.core import Core, Execution, Placed
from galen.backends.objects import objects
from galen.backends.program import Call, Program
from galen.backends.target import Target
from galen.ir import GalenError

if TYPE_CHECKING:
    import tvm

CONFIGURE_THREADS, BIG_CORES = "runtime.config_threadpool", 1
"""TVM's function of a kind of cores and a number of threads."""

Arrays = Mapping[str, np.ndarray]


def is_native(target: Target) -> bool:
    """Return whether code for `target` runs on this machine's kind of processor."""
    return target.triple.split("-")[0] == {"arm64": "aarch64", "AMD64": "x86_64"}.get(machine(), machine())


def fitted(program: Program, inputs: Arrays) -> dict[int, np.ndarray]:
    """Return the inputs by buffer.

    Raises:
        GalenError: an input is missing, unknown, or of another shape or type.
    """
    if unknown := sorted(set(inputs) - set(program.inputs)):
        raise GalenError(f"the model has no input {unknown[0]!r}", hint=f"inputs: {', '.join(program.inputs)}")
    arrays = {}
    for name, buffer in program.inputs.items():
        spec = program.buffers[buffer]
        if name not in inputs:
            raise GalenError("is not given", where=f"input {name}")
        if inputs[name].shape != spec.shape or inputs[name].dtype != spec.dtype:
            raise GalenError(
                f"is {inputs[name].dtype} {list(inputs[name].shape)}, compiled for {spec.dtype} {list(spec.shape)}",
                where=f"input {name}",
            )
        arrays[buffer] = np.ascontiguousarray(inputs[name])
    return arrays


def host_machine(program: Program, library: "tvm.runtime.Module") -> "tvm.relax.VirtualMachine":
    """Return a virtual machine in this process for the loaded `library`, and give TVM's pool the target's threads."""
    import tvm  # noqa: PLC0415
    from tvm import relax  # noqa: PLC0415

    tvm.get_global_func(CONFIGURE_THREADS)(BIG_CORES, program.target.threads)
    return relax.VirtualMachine(library, tvm.cpu())


def run_on_host(program: Program, library: Path, inputs: Arrays) -> dict[str, np.ndarray]:
    """Return the outputs that the linked `library` computes in this process."""
    import tvm  # noqa: PLC0415

    machine = host_machine(program, tvm.runtime.load_module(str(library)))
    results = machine["main"](*map(tvm.runtime.tensor, fitted(program, inputs).values()))
    results = [results] if len(program.outputs) == 1 else list(results)
    return {name: result.numpy() for name, result in zip(program.outputs, results, strict=True)}


class Network:
    """A program in the memory of an emulated core: `core`, or one without caches."""

    def __init__(self, program: Program, core: Core | None = None) -> None:
        self.program = program
        self.core = core or Core(program.target)
        self.core.load(objects((call.kernel for call in program.calls), program.target).values())
        self._placed: dict[int, Placed] = {}
        for index, spec in enumerate(program.buffers):
            if index not in program.views:
                initial = program.constants.get(index)
                array = np.zeros(spec.shape, spec.dtype) if initial is None else initial
                self._placed[index] = self.core.place(array)
        for index in program.views:
            base = self._placed[program.memory(index)]
            self._placed[index] = Placed(base.array.reshape(program.buffers[index].shape), base.address)

    def run(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Return the outputs for one set of inputs."""
        for buffer, array in fitted(self.program, inputs).items():
            self._placed[buffer].array[...] = array
        for call in self.program.calls:
            self.execute(call)
        return {name: self._placed[buffer].array.copy() for name, buffer in self.program.outputs.items()}

    def execute(self, call: Call) -> Execution:
        """Run one call on what the memory holds."""
        return self.core.call(call.kernel.symbol(self.program.target), [self._placed[index] for index in call.args])


def run_on_core(program: Program, inputs: Arrays) -> dict[str, np.ndarray]:
    """Return the outputs that an emulated core computes."""
    return Network(program).run(inputs)
