"""What a library holds besides code: bytecode and constants, as TVM's loader finds them under one symbol.

TVM serialises the bytecode with a placeholder for every constant; the constants' own memory is written in its place, so
that large weights are neither copied nor compiled.
"""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from galen.backends.bytecode import virtual_machine
from galen.backends.data_object import write_data_object
from galen.backends.program import Program
from galen.ir import GalenError

_SYMBOL = "__tvm_ffi__library_bin"
_TYPE_KEY = b"relax.VMExecutable"
_LENGTH = struct.Struct("<Q")
_MARK = 16
"""Bytes of a placeholder."""

_HEAD = struct.Struct("<i4sqq")
"""Before a tensor's bytes: number of axes, type, shape (of one axis) and size in bytes."""


def write_image(program: Program, like: Path, path: Path) -> None:
    """Write bytecode and constants of `program` to `path`, an object file for the machine of the object `like`."""
    arrays = {_mark(buffer): array for buffer, array in program.constants.items()}
    marks = {
        buffer: np.frombuffer(mark, array.dtype)
        for (mark, array), buffer in zip(arrays.items(), program.constants, strict=True)
    }
    write_data_object(path, like, _SYMBOL, list(_pieces(_serialised(program, marks), arrays)))


def _mark(buffer: int) -> bytes:
    return hashlib.sha256(f"galen constant {buffer}".encode()).digest()[:_MARK]


def _serialised(program: Program, constants: Mapping[int, np.ndarray]) -> bytes:
    import tvm  # noqa: PLC0415

    pack = tvm.get_global_func("runtime.ModulePackImportsToTensor")
    return bytes(pack(virtual_machine(program, constants)).numpy().data)


def _pieces(packed: bytes, arrays: Mapping[bytes, np.ndarray]) -> Iterator[bytes | memoryview]:
    """Yield `packed` with `arrays` in place of their marks, and the two lengths that count them set anew."""
    growth = sum(array.nbytes + 8 * (array.ndim - 1) - _MARK for array in arrays.values())
    key = packed.find(_TYPE_KEY) + len(_TYPE_KEY)
    (whole,), (inner,) = _LENGTH.unpack_from(packed), _LENGTH.unpack_from(packed, key)
    yield _LENGTH.pack(whole + growth) + packed[_LENGTH.size : key] + _LENGTH.pack(inner + growth)
    done = key + _LENGTH.size
    for mark, array in arrays.items():
        at = packed.find(mark, done)
        axes, dtype, _, size = _HEAD.unpack_from(packed, at - _HEAD.size) if at > 0 else (0, b"", 0, 0)
        if (axes, size) != (1, _MARK):
            raise GalenError("this version of TVM serialises tensors in another way", hint="use the pinned version")
        yield packed[done : at - _HEAD.size]
        yield struct.pack(f"<i4s{array.ndim}qq", array.ndim, dtype, *array.shape, array.nbytes)
        yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        done = at + _MARK
    yield packed[done:]
