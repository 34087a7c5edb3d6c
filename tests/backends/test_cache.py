"""The latency cache: one file, several processes, no errors stored, a corrupt file rebuilt."""

import subprocess
import sys
from pathlib import Path

import pytest

from galen.backends.cache import LatencyCache
from galen.ir.errors import GalenError

WRITER = """
import sys
from pathlib import Path
from galen.backends.cache import LatencyCache
cache = LatencyCache(Path(sys.argv[1]))
for i in range(60):
    cache.put(f"{sys.argv[2]}-{i}", {"cycles": i})
    assert cache.get_or("shared", lambda: {"cycles": 7.5}) == {"cycles": 7.5}
"""


def test_a_value_is_measured_once(tmp_path: Path) -> None:
    cache = LatencyCache(tmp_path / "times.db")
    calls = []
    for _ in range(2):
        assert cache.get_or("a", lambda: calls.append(1) or {"cycles": 1.5, "instructions": 3}) == {
            "cycles": 1.5,
            "instructions": 3,
        }
    assert len(calls) == 1
    assert LatencyCache(tmp_path / "times.db").get("a") is not None


def test_errors_are_never_stored(tmp_path: Path) -> None:
    cache = LatencyCache(tmp_path / "times.db")

    def fail() -> dict[str, float]:
        raise GalenError("the board is asleep")

    with pytest.raises(GalenError, match="asleep"):
        cache.get_or("a", fail)
    assert cache.get_or("a", lambda: {"cycles": 2.0}) == {"cycles": 2.0}


@pytest.mark.parametrize("damage", ["not a database at all" * 100, "truncate"])
def test_a_corrupt_file_is_rebuilt(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "times.db"
    cache = LatencyCache(path)
    for i in range(300):
        cache.put(f"key-{i}", {"cycles": float(i)})
    if damage == "truncate":
        data = path.read_bytes()
        path.write_bytes(data[:4096] + bytes(len(data) - 4096))
    else:
        path.write_text(damage)
    cache.put("again", {"cycles": 1.0})
    assert cache.get("again") == {"cycles": 1.0}


def test_two_processes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "times.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "ab"]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    cache = LatencyCache(path)
    assert all(cache.get(f"{name}-{i}") == {"cycles": i} for name in "ab" for i in range(60))
