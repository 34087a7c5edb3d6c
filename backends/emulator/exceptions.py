"""Exceptions of the emulated core: `hooks.c` computes `smmla`, which unicorn does not know; all others are errors."""

import ctypes
from typing import Any

from galen.backends.emulator.native import hooks, install
from galen.ir.errors import GalenError


class Exceptions:
    """Handles the exceptions of one core."""

    class _State(ctypes.Structure):
        """`struct core` of hooks.c."""

        _fields_ = (
            ("read", ctypes.c_void_p),
            ("write", ctypes.c_void_p),
            ("load", ctypes.c_void_p),
            ("stop", ctypes.c_void_p),
            ("pc", ctypes.c_int32),
            ("q0", ctypes.c_int32),
            ("unknown", ctypes.c_uint32),
        )

    def __init__(self, uc: Any) -> None:
        from unicorn import UC_HOOK_INTR  # noqa: PLC0415
        from unicorn.arm64_const import UC_ARM64_REG_PC, UC_ARM64_REG_Q0  # noqa: PLC0415
        from unicorn.unicorn_py3.unicorn import uclib  # noqa: PLC0415

        functions = (uclib.uc_reg_read, uclib.uc_reg_write, uclib.uc_mem_read, uclib.uc_emu_stop)
        addresses = (ctypes.cast(function, ctypes.c_void_p) for function in functions)
        self._uc, self._pc = uc, UC_ARM64_REG_PC
        self._state = self._State(*addresses, UC_ARM64_REG_PC, UC_ARM64_REG_Q0)
        install(uc, UC_HOOK_INTR, hooks().on_exception, self._state)

    def check(self, symbol: str) -> None:
        """Raise GalenError if the last run ended in an exception; forget it."""
        unknown, self._state.unknown = self._state.unknown, 0
        if unknown:
            at = self._uc.reg_read(self._pc)
            raise GalenError(f"kernel faults at {at:#x}: an instruction that is not emulated", where=symbol)
