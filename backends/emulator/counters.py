"""Exact counts of what an emulated core executes, taken by native callbacks."""

import ctypes
from typing import Any, NamedTuple

import numpy as np

from galen.backends.emulator.native import hooks, install


class Block(NamedTuple):
    """Machine code that is entered at `address` and left at its end, and how often that happened."""

    address: int
    code: bytes
    executions: int

    @property
    def instructions(self) -> int:
        """Instructions of one execution."""
        return len(self.code) // 4


class BlockCounter:
    """Counts the blocks executed in the memory `[start, start + size)`."""

    class _State(ctypes.Structure):
        _fields_ = (
            ("base", ctypes.c_uint64),
            ("length", ctypes.c_uint64),
            ("count", ctypes.c_void_p),
            ("bytes", ctypes.c_void_p),
        )

    def __init__(self, uc: Any, start: int, size: int) -> None:
        from unicorn import UC_HOOK_BLOCK  # noqa: PLC0415

        length = size // 4
        self._count, self._bytes = np.zeros(length, np.uint64), np.zeros(length, np.uint32)
        self._state = self._State(start, length, self._count.ctypes.data, self._bytes.ctypes.data)
        self._uc, self._start, self._used = uc, start, 0
        install(uc, UC_HOOK_BLOCK, hooks().on_block, self._state)

    def reset(self, end: int) -> None:
        """Start from zero; code ends at address `end` now."""
        self._used = (end - self._start) // 4
        self._count[: self._used] = 0

    def blocks(self) -> tuple[Block, ...]:
        """Return the executed blocks by ascending address."""
        found = []
        for index in map(int, np.flatnonzero(self._count[: self._used])):
            address = self._start + 4 * index
            code = bytes(self._uc.mem_read(address, int(self._bytes[index])))
            found.append(Block(address, code, int(self._count[index])))
        return tuple(found)
