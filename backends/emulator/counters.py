"""Exact counts of what an emulated core executes, taken by native callbacks."""

import ctypes
from typing import Any, NamedTuple

import numpy as np

from galen.backends.emulator.native import hooks
from galen.ir.errors import GalenError


class Block(NamedTuple):
    """A run of instructions that is entered at `address` and left at its end, and how often that happened."""

    address: int
    instructions: int
    executions: int


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
        from unicorn.unicorn_py3.unicorn import uclib  # noqa: PLC0415

        length = size // 4
        self._count, self._bytes = np.zeros(length, np.uint64), np.zeros(length, np.uint32)
        self._state = self._State(start, length, self._count.ctypes.data, self._bytes.ctypes.data)
        self._start, self._used = start, 0
        handle = ctypes.c_size_t()
        callback = ctypes.cast(hooks().on_block, ctypes.c_void_p)
        status = uclib.uc_hook_add(
            uc._uch, ctypes.byref(handle), UC_HOOK_BLOCK, callback, ctypes.addressof(self._state),
            ctypes.c_uint64(1), ctypes.c_uint64(0),
        )  # fmt: skip
        if status:
            raise GalenError(f"the emulated core refuses its block counter: error {status}")

    def reset(self, end: int) -> None:
        """Start from zero; code ends at address `end` now."""
        self._used = (end - self._start) // 4
        self._count[: self._used] = 0

    def blocks(self) -> tuple[Block, ...]:
        """Return the executed blocks by ascending address."""
        index = np.flatnonzero(self._count[: self._used])
        sizes, counts = self._bytes[index] // 4, self._count[index]
        return tuple(
            Block(self._start + 4 * int(i), int(n), int(c)) for i, n, c in zip(index, sizes, counts, strict=True)
        )
