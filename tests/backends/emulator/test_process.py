"""Timing whole programs: needs qemu-user, skipped by name without it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from galen.backends.emulator.clock import Clock
from galen.backends.emulator.process import emulate
from galen.backends.targets import find
from galen.ir.errors import GalenError

needs_qemu = pytest.mark.skipif(shutil.which("qemu-aarch64") is None, reason="needs qemu-user: qemu-aarch64")

SOURCE = """
static float data[1 << 16];
void _start(void) {
    for (int turn = 0; turn < TURNS; turn++)
        for (int i = 0; i < 1 << 16; i++) data[i] += 1;
    __asm__ volatile("mov x8, #93\\n mov x0, #STATUS\\n svc #0");
}
"""


def program(folder: Path, turns: int, status: int = 0) -> str:
    source, binary = folder / f"turns{turns}.c", folder / f"turns{turns}"
    source.write_text(SOURCE.replace("STATUS", str(status)))
    flags = ["-target", "aarch64-linux-musl", "-nostdlib", "-static", "-O2", f"-DTURNS={turns}"]
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *flags, str(source), "-o", str(binary)], check=True)
    return str(binary)


@needs_qemu
def test_counts_are_the_same_on_every_run(tmp_path: Path) -> None:
    target, command = find("cortex-a72"), [program(tmp_path, 3)]
    first, second = (emulate(target, command) for _ in range(2))
    assert first.profile(target) == second.profile(target)
    assert not first.minus(second).visits


@needs_qemu
def test_the_difference_of_two_runs_is_what_was_repeated(tmp_path: Path) -> None:
    target = find("cortex-a72")
    two, five = (emulate(target, [program(tmp_path, turns)]).profile(target) for turns in (2, 5))
    per_turn = (five.instructions - two.instructions) / 3
    difference = emulate(target, [program(tmp_path, 5)]).minus(emulate(target, [program(tmp_path, 2)]))
    assert difference.profile(target).instructions == pytest.approx(3 * per_turn, rel=0.01)
    assert two.missed[1] == pytest.approx((1 << 18) / 64, rel=0.05)
    assert Clock(target).cycles(five) > 1.5 * Clock(target).cycles(two)


@needs_qemu
def test_the_programs_status_is_told(tmp_path: Path) -> None:
    assert emulate(find("cortex-a53"), [program(tmp_path, 1, status=7)]).status == 7


@needs_qemu
def test_a_program_that_is_not_there() -> None:
    with pytest.raises(GalenError, match="nowhere: no such program"):
        emulate(find("cortex-a53"), ["./nowhere"])


def test_without_qemu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GalenError, match="qemu-aarch64 is not installed"):
        emulate(find("cortex-a53"), ["./program"])
