"""The emulated core computes what the kernel says, counts exactly, and turns every fault into a clear error."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from galen.backends.emulator.core import Core
from galen.backends.target import Target
from galen.ir.errors import GalenError

Compile = Callable[[str, str], Path]
TARGET = Target("cortex-a72", "aarch64-linux-gnu", "cortex-a72", ("+neon",))
LOOP = "for (int i = 0; i < {count}; i++) DATA(1)[i] = {value};"


@pytest.fixture(scope="module")
def core() -> Core:
    return Core(TARGET)


def samples(count: int = 1000) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(count).astype(np.float32)


def test_outputs_are_numpys(core: Core, compiled: Compile) -> None:
    core.load([compiled("twice", LOOP.format(count=1000, value="2 * DATA(0)[i] + 1"))])
    x, y = samples(), np.zeros(1000, np.float32)
    core.call("twice", [x, y])
    np.testing.assert_array_equal(y, 2 * x + 1)


def test_counts_are_exact(core: Core, compiled: Compile) -> None:
    """Four instructions whose number is known: `count` times around a loop of `sub` and `cbnz`."""
    body = 'long n = 1234; __asm__ volatile("1: sub %0, %0, #1\\n cbnz %0, 1b" : "+r"(n));'
    core.load([compiled("countdown", body)])
    execution = core.call("countdown", [])
    loop = max(execution.blocks, key=lambda block: block.executions)
    assert (loop.instructions, loop.executions) == (2, 1233)  # the first turn belongs to the block that falls into it
    assert execution.instructions == sum(b.instructions * b.executions for b in execution.blocks)


def test_counts_are_the_same_on_every_run_and_core(core: Core, compiled: Compile) -> None:
    path = compiled("square", LOOP.format(count=777, value="DATA(0)[i] * DATA(0)[i]"))
    x, y = samples(777), np.zeros(777, np.float32)
    executions = []
    for each in (core, core, Core(TARGET)):
        each.load([path])
        executions.append(each.call("square", [x, y]))
    assert len({e.instructions for e in executions}) == 1
    assert len({tuple((b.instructions, b.executions) for b in e.blocks) for e in executions}) == 1


def test_placed_arrays_are_the_cores_memory(core: Core, compiled: Compile) -> None:
    core.load([compiled("copy", LOOP.format(count=1000, value="DATA(0)[i]"))])
    x, y = core.place(samples()), core.place(np.zeros(1000, np.float32))
    core.call("copy", [x, y])
    np.testing.assert_array_equal(y.array, samples())
    x.array[:] = 3
    core.call("copy", [x, y])
    assert (y.array == 3).all()


def test_mathematics_is_correctly_rounded(core: Core, compiled: Compile) -> None:
    core.load([compiled("exponential", LOOP.format(count=1000, value="expf(DATA(0)[i])"))])
    x, y = samples(), np.zeros(1000, np.float32)
    execution = core.call("exponential", [x, y])
    np.testing.assert_array_equal(y, np.exp(x.astype(np.float64)).astype(np.float32))
    assert execution.library == {"expf": 1000}


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("overrun", LOOP.format(count=5000, value="1"), "overrun: kernel faults at 0x.*UNMAPPED"),
        ("wild", "*(volatile int *)8 = 1;", "wild: kernel faults at 0x.*UNMAPPED"),
        ("novel", '__asm__ volatile(".inst 0");', "novel: kernel faults at 0x.* not emulated"),
        ("foreign", "unheard_of(1);", "foreign: kernel calls unheard_of"),
        ("failing", "return -1;", "failing: kernel refuses"),
    ],
)
def test_a_kernel_at_fault_is_a_clear_error(core: Core, compiled: Compile, name: str, body: str, message: str) -> None:
    core.load([compiled(name, body), compiled("fine", LOOP.format(count=10, value="i"))])
    x, y = samples(), np.zeros(1000, np.float32)
    with pytest.raises(GalenError, match=message):
        core.call(name, [x, y])
    core.call("fine", [x, y])
    assert y[9] == 9


def test_unknown_kernel_and_wrong_file(core: Core, tmp_path: Path) -> None:
    with pytest.raises(GalenError, match="absent: no such kernel is loaded"):
        core.call("absent", [])
    path = tmp_path / "text.o"
    path.write_text("not an object")
    with pytest.raises(GalenError, match=r"text\.o: .*"):
        core.load([path])
