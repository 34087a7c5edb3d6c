"""Times any AArch64 program with the clock that times kernels: qemu-user runs it, a plugin counts (`plugin.c`)."""

import ctypes
import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from galen.backends.emulator.clock import Clock, Profile
from galen.backends.emulator.counters import Block
from galen.backends.emulator.memory import LEVELS, Traffic, geometry
from galen.backends.emulator.native import qemu_plugin
from galen.backends.target import Target
from galen.ir.errors import GalenError

_QEMU = "qemu-aarch64"
_ASK, _NO_RANDOM_ADDRESSES = 0xFFFFFFFF, 0x0040000
"""Values of the system call `personality`, see its manual page."""
_HEADER = struct.Struct(f"<{3 + 1 + 2 * LEVELS + 1}Q")
_KNOWN = {
    "cortex-a55": "cortex-a76",
    "cortex-a73": "cortex-a72",
    "neoverse-v2": "max,sve=off,sme=off",
    "apple-m1": "cortex-a76",
}
"""Cores that qemu 7 lacks, and the nearest one with the same instructions that programs ask for."""


@dataclass(frozen=True)
class Visit:
    """A block of a program and what its executions did to memory."""

    block: Block
    traffic: Traffic


@dataclass(frozen=True)
class Process:
    """A program that ran.

    Attributes:
        status: its exit status.
        visits: all blocks that were executed.
    """

    status: int
    visits: tuple[Visit, ...]

    def minus(self, other: "Process") -> "Process":
        """Return what this run executed more than `other`: start-up cancels, what was repeated more often remains."""
        before = {(visit.block.address, visit.block.code): visit for visit in other.visits}
        pairs = [(visit, before.get((visit.block.address, visit.block.code))) for visit in self.visits]
        return Process(self.status, tuple(_less(visit, old) for visit, old in pairs if _grew(visit, old)))

    def profile(self, target: Target) -> Profile:
        """Return the cost of the whole run on `target`."""
        return Clock(target).profile_blocks([visit.block for visit in self.visits], self.traffic)

    @property
    def traffic(self) -> Traffic:
        """All lines that moved."""
        each = [visit.traffic for visit in self.visits]
        return Traffic(
            sum(t.accesses for t in each),
            tuple(map(sum, zip(*(t.missed for t in each), strict=True))),
            tuple(map(sum, zip(*(t.streamed for t in each), strict=True))),
            sum(t.written for t in each),
        )


def emulate(
    target: Target, command: Sequence[str], environment: Mapping[str, str] | None = None, root: Path | None = None
) -> Process:
    """Run an AArch64 program to its end and return what it executed; it shares this process's terminal.

    Args:
        target: caches of this core are simulated; the program finds its instructions.
        command: program and arguments.
        environment: more variables of the program.
        root: folder of the program's loader and libraries (qemu's `-L`).

    Raises:
        GalenError: qemu-user is not installed, the target is not ARM, or the program cannot be started.
    """
    qemu = shutil.which(_QEMU)
    if qemu is None:
        raise GalenError(
            f"{_QEMU} is not installed", hint="`apt install qemu-user`, or time models with `galen measure`"
        )
    if not target.pipeline:
        raise GalenError(f"target {target.name} cannot be emulated", hint="name an ARM core, see `galen targets`")
    if shutil.which(command[0]) is None and not Path(command[0]).is_file():
        raise GalenError("no such program", where=command[0])
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "blocks")
        arguments = [qemu, "-cpu", _KNOWN.get(target.cpu, target.cpu), *(["-L", str(root)] if root else [])]
        for name, value in (environment or {}).items():
            arguments += ["-E", f"{name}={value}"]
        plugin = qemu_plugin(_plugin_version(qemu))
        options = ",".join([f"file={plugin}", f"out={out}", *_cache_options(target)])
        with _fixed_addresses():
            done = subprocess.run([*arguments, "-plugin", options, *command], check=False)
        if not out.exists():
            raise GalenError(f"{_QEMU} could not run it", where=command[0], hint="is it an AArch64 program?")
        return Process(done.returncode, tuple(_visits(out.read_bytes(), len(geometry(target.caches)))))


@contextmanager
def _fixed_addresses() -> Iterator[None]:
    """Start programs at the same addresses every time, so that equal runs meet equal caches.

    A container may forbid it; what the caches do then differs by about one percent from run to run.
    """
    set_personality = ctypes.CDLL(None).personality
    before = set_personality(ctypes.c_ulong(_ASK))
    set_personality(ctypes.c_ulong(before | _NO_RANDOM_ADDRESSES))
    try:
        yield
    finally:
        set_personality(ctypes.c_ulong(before))


def _plugin_version(qemu: str) -> int:
    """Return the version of the plugin interface to ask for: QEMU 9 no longer accepts the first."""
    text = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)", text)
    return 1 if found and int(found[1]) < 9 else 2


def _cache_options(target: Target) -> Iterator[str]:
    yield f"line={target.caches['line'].bit_length() - 1}"
    for level, (sets, ways) in enumerate(geometry(target.caches), 1):
        yield f"l{level}={sets}:{ways}"


def _visits(data: bytes, levels: int) -> Iterator[Visit]:
    """Read the plugin's records: address, instructions, executions, traffic, code."""
    at = 0
    while at < len(data):
        address, instructions, executions, accesses, *rest = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        code = data[at : at + 4 * instructions]
        at += len(code)
        traffic = Traffic(accesses, tuple(rest[:levels]), tuple(rest[LEVELS : LEVELS + levels]), rest[-1])
        yield Visit(Block(address, code, executions), traffic)


def _grew(visit: Visit, old: Visit | None) -> bool:
    return old is None or visit.block.executions > old.block.executions


def _less(visit: Visit, old: Visit | None) -> Visit:
    if old is None:
        return visit
    block = visit.block._replace(executions=visit.block.executions - old.block.executions)
    a, b = visit.traffic, old.traffic
    missed = tuple(x - y for x, y in zip(a.missed, b.missed, strict=True))
    streamed = tuple(x - y for x, y in zip(a.streamed, b.streamed, strict=True))
    return Visit(block, Traffic(a.accesses - b.accesses, missed, streamed, a.written - b.written))
