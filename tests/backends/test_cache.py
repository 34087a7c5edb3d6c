"""What is kept between runs: shared by processes, errors never stored, and what was damaged made anew."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from one_conv import CONV

from galen.backends.cache import LatencyCache
from galen.backends.kernels.window import Window
from galen.backends.objects import objects
from galen.backends.targets import find
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

FILLER = """
import sys
from pathlib import Path
from galen.backends.cache import LatencyCache
cache = LatencyCache(Path(sys.argv[1]))
for i in range(300):
    cache.put(f"key-{i}", {"cycles": 1.0})
"""

NO_ROOM = """
import resource, sys
from pathlib import Path
from galen.backends.cache import LatencyCache
cache = LatencyCache(Path(sys.argv[1]))
cache.put("a", {"cycles": 1.0})
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
print(cache.get_or("b", lambda: {"cycles": 2.0}))
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


def halved(data: bytes) -> bytes:
    return data[: len(data) // 2]


def zeroed(data: bytes) -> bytes:
    return data[:4096] + bytes(len(data) - 4096)


def no_database(data: bytes) -> bytes:
    return b"not a database at all" * 100


@pytest.mark.parametrize("damage", [halved, zeroed, no_database])
def test_a_corrupt_file_is_rebuilt_and_a_line_says_so(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "times.db"
    subprocess.run([sys.executable, "-c", FILLER, path], check=True)
    path.write_bytes(damage(path.read_bytes()))
    cache = LatencyCache(path)
    assert all(cache.get_or(f"key-{i}", lambda: {"cycles": 1.0}) == {"cycles": 1.0} for i in range(300))
    (line,) = caplog.messages
    assert line.startswith(f"{path}: ")
    assert line.endswith("; begun anew")


@pytest.mark.parametrize("value", ['{"cycles": 1', b"\xff\xfe\x00", "7"])
def test_a_damaged_entry_is_measured_anew(tmp_path: Path, value: str | bytes, caplog: pytest.LogCaptureFixture) -> None:
    cache = LatencyCache(tmp_path / "times.db")
    cache.put("a", {"cycles": 1.0})
    with sqlite3.connect(tmp_path / "times.db") as connection:
        connection.execute("UPDATE times SET value = ?", (value,))
    assert cache.get_or("a", lambda: {"cycles": 2.0}) == {"cycles": 2.0}
    assert cache.get("a") == {"cycles": 2.0}
    assert "damaged" in caplog.text


def test_what_finds_no_room_is_used_all_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, tmp_path / "times.db"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'cycles': 2.0}\n"
    assert done.stderr.count("what was measured is not kept") == 1


def test_a_damaged_object_file_is_compiled_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    target = find("host")
    (path,) = objects([CONV], target, tmp_path).values()
    whole, made = path.read_bytes(), path.stat().st_mtime_ns
    assert objects([CONV], target, tmp_path) == {CONV.symbol(target): path}
    assert (path.stat().st_mtime_ns, caplog.messages) == (made, [])
    for damaged in (whole[: len(whole) // 2], whole[:100] + b"!" + whole[101:], b""):
        path.write_bytes(damaged)
        objects([CONV], target, tmp_path)
        assert path.read_bytes() == whole
    assert caplog.messages == [f"{path}: damaged; compiled anew"] * 3


def test_kernels_compiled_side_by_side_are_those_compiled_alone(tmp_path: Path) -> None:
    target = find("cortex-a72")
    kernels = [replace(CONV, window=Window(k, k, top=k // 2, left=k // 2)) for k in (1, 3, 5, 7)]
    together = objects(kernels, target, tmp_path / "together")
    alone = {name: path for kernel in kernels for name, path in objects([kernel], target, tmp_path / "alone").items()}
    assert [path.read_bytes() for path in together.values()] == [path.read_bytes() for path in alone.values()]
    assert len(set(together.values())) == len(kernels)


def test_two_processes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "times.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "ab"]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    cache = LatencyCache(path)
    assert all(cache.get(f"{name}-{i}") == {"cycles": i} for name in "ab" for i in range(60))
