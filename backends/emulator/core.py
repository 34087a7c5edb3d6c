"""An emulated AArch64 core that runs compiled kernels in this process and counts what they execute, exactly.

    core = Core(target)
    core.load([Path("k_0123456789abcdef.o")])              # objects as TVM writes them; loading one twice is free
    execution = core.call("k_0123456789abcdef", [x, y])    # numpy arrays in the order of the kernel's arguments
    execution.instructions                                 # the same number on every run; y now holds the result

`call` copies arrays in and back. A network keeps its buffers on the core instead: `core.place(array) -> Placed`, whose
`.array` is the guest's memory itself; `call` takes `Placed` and arrays alike.
"""

import ctypes
import mmap
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galen.backends.emulator.counters import Block, BlockCounter
from galen.backends.emulator.elf import place
from galen.backends.emulator.exceptions import Exceptions
from galen.backends.emulator.library import INSTRUCTIONS, Library
from galen.backends.emulator.memory import Memory, Traffic
from galen.backends.emulator.native import guest_object
from galen.backends.emulator.packed import ARGUMENTS, RESULT, frame
from galen.backends.target import Target
from galen.ir.errors import GalenError

_CODE, _CODE_SIZE = 0x1000_0000, 64 << 20
_STACK, _STACK_SIZE = 0x2000_0000, 8 << 20
_CALL = 0x3000_0000
_WORKSPACE, _WORKSPACE_SIZE = 0x4000_0000, 1 << 30
_DATA = 0x1_0000_0000
_PAGE = 4096
_ALIGNMENT = 64


@dataclass(frozen=True)
class Execution:
    """What one call executed.

    Attributes:
        instructions: all of them; those of the mathematics library are charged at a fixed number per call.
        blocks: by ascending address.
        library: calls of mathematics functions, by name.
        traffic: what went through the caches, when the core has any.
    """

    instructions: int
    blocks: tuple[Block, ...]
    library: Mapping[str, int]
    traffic: Traffic | None = None


class Placed:
    """An array in the core's memory. `array` is that memory: reads and writes need no copy."""

    def __init__(self, array: np.ndarray, address: int) -> None:
        self.array, self.address = array, address


class Core:
    """A core with its memory. Every array lies in pages of its own, so a kernel that leaves its buffers faults.

    Args:
        target: whose code is run; any ARMv8 code runs.
        caches: simulated caches, which halve the speed; without them no traffic is counted.
    """

    def __init__(self, target: Target, caches: Memory | None = None) -> None:
        import unicorn  # noqa: PLC0415

        self.target = target
        self._uc = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self._uc.ctl_set_cpu_model(unicorn.arm64_const.UC_CPU_ARM64_MAX)
        for start, size in (
            (_CODE, _CODE_SIZE),
            (_STACK, _STACK_SIZE),
            (_CALL, _PAGE),
            (_WORKSPACE, _WORKSPACE_SIZE),
        ):
            self._uc.mem_map(start, size)
        self._library = Library(self._uc)
        self._symbols: dict[str, int] = {}
        self._loaded: set[Path] = set()
        self._code_end = _CODE
        self._data_end = _DATA
        self._memory: dict[int, mmap.mmap] = {}
        self._counter = BlockCounter(self._uc, _CODE, _CODE_SIZE)
        self._exceptions = Exceptions(self._uc)
        self._caches = caches
        if caches:
            caches.attach(self._uc)
        self.load([guest_object()])

    def load(self, objects: Iterable[Path]) -> None:
        """Load kernel objects; those already loaded are skipped.

        Raises:
            GalenError: a file is not an AArch64 object, or the code no longer fits.
        """
        for path in objects:
            if path in self._loaded:
                continue
            image = place(path, self._code_end, self._external)
            if self._code_end + len(image.data) > _CODE + _CODE_SIZE:
                raise GalenError("the kernels do not fit the emulated core's code memory", where=str(path))
            self._uc.mem_write(image.address, bytes(image.data))
            for name, at in image.symbols.items():
                if name.startswith("__TVM"):  # a pointer that TVM's loader sets to the runtime's function
                    self._write(at, self._external(name.removeprefix("__")))
                self._symbols.setdefault(name, at)
            self._code_end = image.address + len(image.data) + -len(image.data) % _ALIGNMENT
            self._loaded.add(path)

    def _external(self, name: str) -> int:
        return self._symbols.get(name) or self._library.address(name)

    def _write(self, address: int, *values: int) -> None:
        self._uc.mem_write(address, struct.pack(f"<{len(values)}Q", *values))

    def place(self, array: np.ndarray) -> Placed:
        """Copy `array` to the core's memory, which ends (but for 64-byte alignment) with a page before a gap."""
        size = max(array.nbytes, 1)
        span = -(-size // _PAGE) * _PAGE
        memory = mmap.mmap(-1, span)
        offset = (span - size) // _ALIGNMENT * _ALIGNMENT
        view = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
        view[...] = array
        base, self._data_end = self._data_end, self._data_end + span + _PAGE
        pointer = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._uc.mem_map_ptr(base, span, 3, pointer)
        self._memory[base] = memory
        return Placed(view, base + offset)

    def release(self, placed: Placed) -> None:
        """Give back the memory of a placed array."""
        base = placed.address // _PAGE * _PAGE
        self._uc.mem_unmap(base, len(self._memory.pop(base)))
        if not self._memory:
            self._data_end = _DATA  # equal calls meet equal addresses, and so equal caches

    def call(self, symbol: str, arrays: Sequence[np.ndarray | Placed]) -> Execution:
        """Run the packed function of `symbol`; arrays that it writes are updated in place.

        Raises:
            GalenError: the function is not loaded, reports an error, or leaves its memory.
        """
        placed = [a if isinstance(a, Placed) else self.place(a) for a in arrays]
        try:
            execution = self._run(symbol, placed)
            for array, copy in zip(arrays, placed, strict=True):
                if isinstance(array, np.ndarray) and array.flags.writeable:
                    array[...] = copy.array
        finally:
            for array, copy in zip(arrays, placed, strict=True):
                if isinstance(array, np.ndarray):
                    self.release(copy)
        return execution

    def _run(self, symbol: str, placed: Sequence[Placed]) -> Execution:
        from unicorn import UcError  # noqa: PLC0415
        from unicorn.arm64_const import (  # noqa: PLC0415
            UC_ARM64_REG_PC,
            UC_ARM64_REG_SP,
            UC_ARM64_REG_X0,
            UC_ARM64_REG_X1,
            UC_ARM64_REG_X2,
            UC_ARM64_REG_X3,
            UC_ARM64_REG_X30,
        )

        entry = self._symbols.get(f"__tvm_ffi_{symbol}")
        if entry is None:
            raise GalenError("no such kernel is loaded", where=symbol)
        self._uc.mem_write(_CALL, frame([p.array for p in placed], [p.address for p in placed], _CALL))
        self._write(self._symbols["galen_workspace"], _WORKSPACE)
        self._write(self._symbols["galen_workspace_end"], _WORKSPACE + _WORKSPACE_SIZE)
        self._write(self._symbols["galen_error"], 0, 0, 0)
        registers = {
            UC_ARM64_REG_SP: _STACK + _STACK_SIZE - _PAGE,
            UC_ARM64_REG_X0: 0,
            UC_ARM64_REG_X1: _CALL + ARGUMENTS,
            UC_ARM64_REG_X2: len(placed),
            UC_ARM64_REG_X3: _CALL + RESULT,
            UC_ARM64_REG_X30: self._library.exit,
        }
        for register, value in registers.items():
            self._uc.reg_write(register, value)
        self._counter.reset(self._code_end)
        self._library.calls.clear()
        try:
            self._uc.emu_start(entry, self._library.exit)
        except UcError as error:
            at = self._uc.reg_read(UC_ARM64_REG_PC)
            raise GalenError(f"kernel faults at {at:#x}: {error}", where=symbol) from error
        self._exceptions.check(symbol)
        self._library.check(symbol)
        if self._uc.reg_read(UC_ARM64_REG_X0) & 0xFFFFFFFF:
            raise GalenError(f"kernel refuses its arguments: {self._message()}", where=symbol)
        blocks, calls = self._counter.blocks(), dict(self._library.calls)
        total = sum(b.instructions * b.executions for b in blocks) + INSTRUCTIONS * sum(calls.values())
        return Execution(total, blocks, calls, self._caches.take() if self._caches else None)

    def _message(self) -> str:
        """Return the text that the runtime's error function was given."""
        _kind, parts, count = struct.unpack("<3Q", self._uc.mem_read(self._symbols["galen_error"], 24))
        pointers = struct.unpack(f"<{count}Q", self._uc.mem_read(parts, 8 * count))
        return " ".join("".join(self._text(pointer) for pointer in pointers if pointer).split())

    def _text(self, address: int) -> str:
        text = bytearray()
        while byte := self._uc.mem_read(address + len(text), 1)[0]:
            text.append(byte)
        return text.decode(errors="replace")
