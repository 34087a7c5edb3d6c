"""The C mathematics library of the emulated core: scalar functions computed by the host, correctly rounded to fp32."""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from galen.ir.errors import GalenError

_BASE, _SIZE, _SLOT = 0x0F00_0000, 1 << 16, 16
_RET = 0xD65F03C0.to_bytes(4, "little")

Function = Callable[..., float]

FUNCTIONS: Mapping[str, Function] = {
    "acos": np.arccos, "acosh": np.arccosh, "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan,
    "atan2": np.arctan2, "atanh": np.arctanh, "ceil": np.ceil, "cos": np.cos, "cosh": np.cosh, "erf": math.erf,
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "fabs": np.fabs, "floor": np.floor, "fmod": np.fmod,
    "hypot": np.hypot, "log": np.log, "log10": np.log10, "log1p": np.log1p, "log2": np.log2,
    "nearbyint": np.rint, "pow": np.power, "rint": np.rint, "sin": np.sin, "sinh": np.sinh, "sqrt": np.sqrt,
    "tan": np.tan, "tanh": np.tanh, "trunc": np.trunc,
}  # fmt: skip
"""Functions of doubles; the name followed by `f` is the function of floats."""

INSTRUCTIONS = 40
"""Charged for one call, about what glibc's fp32 functions execute; kernels that matter do not call them."""


class Library:
    """Gives every function that kernels leave undefined an address, and computes it when the core gets there."""

    def __init__(self, uc: Any) -> None:
        from unicorn import UC_HOOK_CODE  # noqa: PLC0415

        self._uc = uc
        self._names: list[str] = []
        self._failure: str | None = None
        self.calls: Counter[str] = Counter()
        self.exit = _BASE + _SIZE
        uc.mem_map(_BASE, _SIZE + 4096)
        uc.mem_write(_BASE, _RET * (_SIZE // 4))
        uc.hook_add(UC_HOOK_CODE, self._enter, None, _BASE, _BASE + _SIZE - 1)

    def address(self, name: str) -> int:
        """Return where a kernel finds the function `name`; one that does not exist fails when it is called."""
        if name not in self._names:
            self._names.append(name)
        return _BASE + _SLOT * self._names.index(name)

    def check(self, symbol: str) -> None:
        """Raise GalenError if the last run called a function that does not exist; forget it."""
        failure, self._failure = self._failure, None
        if failure:
            raise GalenError(f"kernel calls {failure}, which the emulated core does not have", where=symbol)

    def _enter(self, uc: Any, address: int, _size: int, _data: object) -> None:
        name = self._names[(address - _BASE) // _SLOT]
        self.calls[name] += 1
        single = name.endswith("f") and name[:-1] in FUNCTIONS
        function = FUNCTIONS.get(name[:-1] if single else name)
        if function is None:
            self._failure = name
            uc.emu_stop()
            return
        self._apply(function, np.dtype(np.float32 if single else np.float64))

    def _apply(self, function: Function, dtype: np.dtype[Any]) -> None:
        from unicorn.arm64_const import UC_ARM64_REG_D0, UC_ARM64_REG_D1  # noqa: PLC0415

        count = getattr(function, "nin", 1)
        registers = (UC_ARM64_REG_D0, UC_ARM64_REG_D1)[:count]
        bits = np.array([self._uc.reg_read(r) for r in registers], np.uint64)
        values = bits.view(dtype)[:: 8 // dtype.itemsize].astype(np.float64)
        with np.errstate(all="ignore"):
            result = np.array([function(*values), 0], np.float64).astype(dtype)
        self._uc.reg_write(UC_ARM64_REG_D0, int(result.view(np.uint64 if dtype.itemsize == 8 else np.uint32)[0]))
