"""Simulated caches: misses that can be counted by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from galen.backends.emulator.core import Core
from galen.backends.emulator.memory import Memory, Traffic
from galen.backends.targets import find

Compile = Callable[[str, str], Path]
LINE = 64
SUM = (
    "float s = 0; for (int t = 0; t < {turns}; t++) for (int i = 0; i < {count}; i++) s += DATA(0)[i]; DATA(1)[0] = s;"
)
FILL = "for (int i = 0; i < {count}; i++) DATA(0)[i] = i;"


def traffic(path: Path, arrays: list[np.ndarray]) -> Traffic:
    target = find("cortex-a72")
    core = Core(target, Memory(target.caches))
    core.load([path])
    found = core.call(path.stem, arrays).traffic
    assert found is not None
    return found


def test_what_fits_is_missed_once(compiled: Compile) -> None:
    count = 4096  # 16 KiB, half of the first-level cache
    found = traffic(
        compiled("sum4k", SUM.format(turns=5, count=count)), [np.ones(count, np.float32), np.zeros(1, np.float32)]
    )
    assert found.missed[0] == pytest.approx(count * 4 / LINE, abs=20)
    assert found.missed[1] == found.missed[0]


def test_what_fits_the_second_level_only_is_missed_there_once(compiled: Compile) -> None:
    count, turns = 32768, 4  # 128 KiB
    path = compiled("sum32k", SUM.format(turns=turns, count=count))
    found = traffic(path, [np.ones(count, np.float32), np.zeros(1, np.float32)])
    assert found.missed[0] == pytest.approx(turns * count * 4 / LINE, rel=0.02)
    assert found.missed[1] == pytest.approx(count * 4 / LINE, rel=0.02)
    assert found.streamed[0] > 0.95 * found.missed[0]


def test_dirty_lines_return_to_memory_when_they_no_longer_fit(compiled: Compile) -> None:
    count = 1 << 20  # 4 MiB, four times the second-level cache
    found = traffic(compiled("fill1m", FILL.format(count=count)), [np.zeros(count, np.float32)])
    lines = count * 4 / LINE
    assert found.missed[1] == pytest.approx(lines, rel=0.01)
    assert found.written == pytest.approx(lines * 0.75, rel=0.02)


def test_equal_calls_meet_equal_caches(compiled: Compile) -> None:
    path = compiled("sum9k", SUM.format(turns=2, count=9000))
    arrays = [np.ones(9000, np.float32), np.zeros(1, np.float32)]
    assert traffic(path, arrays) == traffic(path, arrays)
