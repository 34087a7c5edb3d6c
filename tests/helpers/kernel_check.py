"""Running one kernel on the emulated core and on the host, against its reference."""

from pathlib import Path

import numpy as np

from galen.backends.emulator.core import Core
from galen.backends.kernels.base import Image, Kernel
from galen.backends.objects import objects
from galen.backends.target import Target
from galen.backends.targets import find

ARM, HOST = find("cortex-a72"), find("host")


def outputs_on_core(kernel: Kernel, inputs: list[np.ndarray], cache: Path, target: Target = ARM) -> list[np.ndarray]:
    core = Core(target)
    core.load(objects([kernel], target, cache).values())
    results = poisoned(kernel)
    core.call(kernel.symbol(target), [*inputs, *results])
    return results


def outputs_on_host(kernel: Kernel, inputs: list[np.ndarray]) -> list[np.ndarray]:
    import tvm

    function = kernel.tir(HOST).with_attr("global_symbol", "kernel")
    module = tvm.tirx.build(tvm.IRModule({"kernel": function}), target=tvm.target.Target(HOST.llvm))
    results = [tvm.runtime.tensor(array) for array in poisoned(kernel)]
    module["kernel"](*map(tvm.runtime.tensor, inputs), *results)
    return [result.numpy() for result in results]


def poisoned(kernel: Kernel) -> list[np.ndarray]:
    """Output buffers that hold nonsense, so that what a kernel forgets to write shows."""
    return [np.full(s.shape, 77, s.dtype) for s in kernel.args[-kernel.outputs :]]


def random_inputs(kernel: Kernel, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    specs = kernel.args[: -kernel.outputs]
    return [(rng.standard_normal(s.shape) * 0.5).astype(s.dtype) for s in specs]


def check(kernel: Kernel, inputs: list[np.ndarray], cache: Path, tolerance: float = 1e-4) -> None:
    """Assert that both machines compute what the reference computes, borders included, padding channels excepted."""
    expected = kernel.reference(*inputs)
    sink = getattr(kernel, "sink", None)
    channels = sink.c if isinstance(sink, Image) else None
    for results in (outputs_on_core(kernel, inputs, cache), outputs_on_host(kernel, inputs)):
        for result, right in zip(results, expected, strict=True):
            np.testing.assert_allclose(result[..., :channels], right[..., :channels], rtol=tolerance, atol=tolerance)
