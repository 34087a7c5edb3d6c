"""Integer kernels run on an emulated core and in this process, and must leave what their numpy meaning says."""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest

from galen.backends.emulator.core import Core
from galen.backends.kernels.base import Kernel
from galen.backends.objects import objects
from galen.backends.targets import find

Check = Callable[..., int | None]


@pytest.fixture(scope="session")
def cores() -> dict[str, Core]:
    return {}


@pytest.fixture
def exact(cores: dict[str, Core]) -> Check:
    """Return a function that runs a kernel and compares all bits; it returns the instructions of an emulated core."""

    def check(kernel: Kernel, inputs: Sequence[np.ndarray], target: str) -> int | None:
        (expected,) = kernel.reference(*inputs)
        run = _run_here if target == "host" else _run_on_core
        found, instructions = run(kernel, inputs, target, cores)
        np.testing.assert_array_equal(found, expected, err_msg=f"{kernel} on {target}")
        return instructions

    return check


def _run_on_core(
    kernel: Kernel, inputs: Sequence[np.ndarray], name: str, cores: dict[str, Core]
) -> tuple[np.ndarray, int | None]:
    target = find(name)
    core = cores.setdefault(name, Core(target))
    core.load(objects([kernel], target).values())
    out = np.full(kernel.args[-1].shape, 85, kernel.args[-1].dtype)
    return out, core.call(kernel.symbol(target), [*inputs, out]).instructions


def _run_here(
    kernel: Kernel, inputs: Sequence[np.ndarray], name: str, cores: dict[str, Core]
) -> tuple[np.ndarray, int | None]:
    import tvm

    out = np.full(kernel.args[-1].shape, 85, kernel.args[-1].dtype)
    arrays = [tvm.runtime.tensor(np.ascontiguousarray(array)) for array in (*inputs, out)]
    _function(kernel, name)(*arrays)
    return arrays[-1].numpy(), None


@cache
def _function(kernel: Kernel, name: str) -> Callable[..., None]:
    import tvm

    target = find(name)
    symbol = kernel.symbol(target)
    module = tvm.IRModule({symbol: kernel.tir(target).with_attr("global_symbol", symbol)})
    return tvm.tirx.build(module, target=tvm.target.Target(target.llvm))[symbol]
