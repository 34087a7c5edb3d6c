"""TVM's packed calling convention: how a kernel is given its tensors."""

import struct
from collections.abc import Sequence

import numpy as np

_CPU_TENSOR = 7  # kTVMFFIDLTensorPtr
_CPU = 1  # kDLCPU
_CODES = {"i": 0, "u": 1, "f": 2, "b": 6}
_ANY, _TENSOR = 16, 48

RESULT = 0
"""Offset of the place for the result (`TVMFFIAny`)."""
ARGUMENTS = _ANY
"""Offset of the arguments."""


def frame(arrays: Sequence[np.ndarray], addresses: Sequence[int], base: int) -> bytes:
    """Lay out a call's result, arguments (`TVMFFIAny`), tensors (`DLTensor`), shapes and strides for address `base`."""
    tensors = base + ARGUMENTS + _ANY * len(arrays)
    shapes = tensors + _TENSOR * len(arrays)
    arguments, headers, extents = bytearray(_ANY), bytearray(), bytearray()
    for index, (array, address) in enumerate(zip(arrays, addresses, strict=True)):
        shape, rank = shapes + len(extents), array.ndim
        strides = [step // array.itemsize for step in array.strides]
        kind = struct.pack("<BBH", _CODES[array.dtype.kind], 8 * array.itemsize, 1)
        arguments += struct.pack("<iIQ", _CPU_TENSOR, 0, tensors + _TENSOR * index)
        headers += struct.pack("<QiiI4sQQQ", address, _CPU, 0, rank, kind, shape, shape + 8 * rank, 0)
        extents += struct.pack(f"<{2 * rank}q", *array.shape, *strides)
    return bytes(arguments + headers + extents)
