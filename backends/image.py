"""What a library holds besides code: bytecode and constants, as TVM's loader finds them under one symbol.

TVM serialises the bytecode with a placeholder for every constant; the constants' own memory is written in its place, so
that large weights are neither copied nor compiled. The linker only makes room for them.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from galen.backends.bytecode import virtual_machine
from galen.backends.program import Program
from galen.ir import GalenError

_SECTION, _SYMBOL = ".galen", "__tvm_ffi__library_bin"
_TYPE_KEY = b"relax.VMExecutable"
_LENGTH = struct.Struct("<Q")
_MARK = 16
"""Bytes of a placeholder."""

_HEAD = struct.Struct("<i4sqq")
"""Before a tensor's bytes: number of axes, type, shape (of one axis) and size in bytes."""


class Image:
    """Bytecode and constants of `program`; constants are packed when they are written, one at a time."""

    def __init__(self, program: Program) -> None:
        self._constants = program.constants
        self._specs = {buffer: program.buffers[buffer] for buffer in program.constants}
        self._bytecode = _serialised(program, {b: np.frombuffer(_mark(b), s.dtype) for b, s in self._specs.items()})

    @property
    def _growth(self) -> int:
        """Bytes that the constants have more than their placeholders."""
        return sum(spec.nbytes + 8 * (len(spec.shape) - 1) - _MARK for spec in self._specs.values())

    def room(self, place: str) -> str:
        """Return a linker script that keeps a section free for the image, at a `place` like `AFTER .text`."""
        size = len(self._bytecode) + self._growth
        return f"SECTIONS {{ {_SECTION} : ALIGN(64) {{ {_SYMBOL} = .; . += {size}; }} }} INSERT {place};"

    def fill(self, path: Path) -> None:
        """Write the image where the linker kept room for it in the ELF file `path`."""
        from elftools.elf.elffile import ELFFile  # noqa: PLC0415

        with path.open("r+b") as file:
            file.seek(ELFFile(file).get_section_by_name(_SECTION)["sh_offset"])
            file.writelines(self._pieces())

    def _pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the bytecode with constants in place of their marks, and the two lengths that count them set anew."""
        code = self._bytecode
        key = code.find(_TYPE_KEY) + len(_TYPE_KEY)
        (whole,), (inner,) = _LENGTH.unpack_from(code), _LENGTH.unpack_from(code, key)
        yield _LENGTH.pack(whole + self._growth) + code[_LENGTH.size : key] + _LENGTH.pack(inner + self._growth)
        done = key + _LENGTH.size
        for buffer, spec in self._specs.items():
            at = code.find(_mark(buffer), done)
            axes, dtype, _, size = _HEAD.unpack_from(code, at - _HEAD.size) if at > 0 else (0, b"", 0, 0)
            if (axes, size) != (1, _MARK):
                raise GalenError("this version of TVM serialises tensors in another way", hint="use the pinned version")
            yield code[done : at - _HEAD.size]
            yield struct.pack(f"<i4s{len(spec.shape)}qq", len(spec.shape), dtype, *spec.shape, spec.nbytes)
            yield np.ascontiguousarray(self._constants[buffer]).reshape(-1).view(np.uint8).data
            done = at + _MARK
        yield code[done:]


def _mark(buffer: int) -> bytes:
    return hashlib.sha256(f"galen constant {buffer}".encode()).digest()[:_MARK]


def _serialised(program: Program, constants: Mapping[int, np.ndarray]) -> bytes:
    import tvm  # noqa: PLC0415

    pack = tvm.get_global_func("runtime.ModulePackImportsToTensor")
    return bytes(pack(virtual_machine(program, constants)).numpy().data)
