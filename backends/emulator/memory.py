"""The caches of an emulated core, simulated in native code (`memory.h`) from the addresses that it loads and stores."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from galen.backends.emulator.native import hooks, install

LEVELS, STREAMS = 3, 16


@dataclass(frozen=True)
class Traffic:
    """Lines that moved.

    Attributes:
        accesses: loads and stores.
        missed: by level, lines that were not found there.
        streamed: by level, those among them next to a line missed shortly before: hardware prefetches them.
        written: dirty lines that went back to memory.
    """

    accesses: int
    missed: tuple[int, ...]
    streamed: tuple[int, ...]
    written: int


class _Level(ctypes.Structure):
    _fields_ = (("sets", ctypes.c_uint64), ("ways", ctypes.c_uint64), ("lines", ctypes.c_void_p))


class _Observed(ctypes.Structure):
    """`struct observed` of hooks.c."""

    _fields_ = (
        ("line_shift", ctypes.c_uint64),
        ("levels", _Level * LEVELS),
        ("streams", ctypes.c_uint64 * STREAMS * LEVELS),
        ("last", ctypes.c_uint64),
        ("accesses", ctypes.c_uint64),
        ("missed", ctypes.c_uint64 * LEVELS),
        ("streamed", ctypes.c_uint64 * LEVELS),
        ("written", ctypes.c_uint64),
    )


class Memory:
    """Caches of the sizes of `Target.caches`, empty at first."""

    def __init__(self, caches: Mapping[str, int]) -> None:
        self._observed = _Observed(line_shift=caches["line"].bit_length() - 1)
        self._lines: list[np.ndarray] = []
        for index, (sets, ways) in enumerate(geometry(caches)):
            self._lines.append(np.zeros(sets * ways, np.uint64))
            self._observed.levels[index] = _Level(sets, ways, self._lines[-1].ctypes.data)

    def attach(self, uc: Any) -> None:
        """Watch every load and store of an emulated core."""
        from unicorn import UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE  # noqa: PLC0415

        install(uc, UC_HOOK_MEM_READ | UC_HOOK_MEM_WRITE, hooks().on_access, self._observed)

    def empty(self) -> None:
        """Forget what the caches hold."""
        for lines in self._lines:
            lines[:] = 0
        self._observed.last = 0

    def take(self) -> Traffic:
        """Return the traffic since the last time."""
        seen = self._observed
        levels = len(self._lines)
        traffic = Traffic(seen.accesses, tuple(seen.missed[:levels]), tuple(seen.streamed[:levels]), seen.written)
        seen.accesses = seen.written = 0
        for index in range(LEVELS):
            seen.missed[index] = seen.streamed[index] = 0
        return traffic


def geometry(caches: Mapping[str, int]) -> list[tuple[int, int]]:
    """Return sets and ways of every level that there is."""
    levels = [(caches[level], caches[f"{level}_ways"]) for level in ("l1", "l2", "l3") if caches.get(level)]
    return [(size // caches["line"] // ways, ways) for size, ways in levels]
