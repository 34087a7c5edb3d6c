"""Threads: code for several shares its rows among TVM's pool, and computes the same; the clock knows one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from one_conv import CONV, example, program

from galen.backends.emulator.core import Core
from galen.backends.local_runner import LocalRunner
from galen.backends.objects import objects
from galen.backends.targets import find
from galen.ir.errors import UsageError
from galen.runners import RunnerOptions

LAUNCH = b"TVMBackendParallelLaunch"


def compiled(threads: int, folder: Path) -> bytes:
    target = replace(find("cortex-a72"), threads=threads)
    (path,) = objects([CONV], target, folder).values()
    return path.read_bytes()


def test_only_code_for_several_threads_uses_the_pool(tmp_path: Path) -> None:
    assert LAUNCH not in compiled(1, tmp_path)
    assert LAUNCH in compiled(2, tmp_path)


def test_several_threads_compute_the_same() -> None:
    x, expected = example()
    target = replace(find("host"), threads=2)
    found = LocalRunner(target).outputs(replace(program("host"), target=target), {"x": x})["y"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_emulated_core_runs_them_one_after_the_other(tmp_path: Path) -> None:
    target = replace(find("cortex-a72"), threads=4)
    x, expected = example()
    core, out = Core(target), np.zeros(CONV.args[-1].shape, np.float32)
    core.load(objects([CONV], target, tmp_path).values())
    constants = list(program("cortex-a72").constants.values())
    core.call(CONV.symbol(target), [x, *constants, out])
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_the_clock_refuses_several() -> None:
    with pytest.raises(UsageError, match=r"--threads 2: the emulator models one core, and one thread"):
        RunnerOptions(threads=2).open(find("cortex-a72"))
