"""What a program means: every call by its kernel's numpy reference, without a compiler or a core."""

from collections.abc import Mapping

import numpy as np

from galen.backends.execution import fitted
from galen.backends.program import Program


def interpret(program: Program, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the outputs by name."""
    memory: dict[int, np.ndarray] = {}
    for index, spec in enumerate(program.buffers):
        if index not in program.views:
            constant = program.constants.get(index)
            memory[index] = np.zeros(spec.shape, spec.dtype) if constant is None else np.array(constant)
    for index in program.views:
        memory[index] = memory[program.memory(index)].reshape(program.buffers[index].shape)
    for buffer, array in fitted(program, inputs).items():
        memory[buffer][...] = array
    for call in program.calls:
        sources, sinks = call.args[: -call.kernel.outputs], call.args[-call.kernel.outputs :]
        results = call.kernel.reference(*(memory[index] for index in sources))
        for index, result in zip(sinks, results, strict=True):
            memory[index][...] = np.reshape(result, memory[index].shape)
    return {name: memory[buffer] for name, buffer in program.outputs.items()}
