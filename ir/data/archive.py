"""`.npz` files read with suspicion: no pickle, sizes checked before memory is asked for, stored arrays mapped."""

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from galen.ir.errors import GalenError

_LOCAL_HEADER = 30
_MALFORMED = (ValueError, TypeError, SyntaxError, KeyError, EOFError, OverflowError, RecursionError)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a `.npz` file by name, read-only. What is stored uncompressed is mapped, not read.

    Raises:
        GalenError: the file is missing or damaged, or an array is of objects, longer or shorter than it claims,
            or too large for the memory; the message names file and array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
            return {entry.filename[:-4]: _read(path, archive, entry) for entry in entries}
    except FileNotFoundError as error:
        raise GalenError("no such file", where=str(path)) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise GalenError("not an .npz file, or a damaged one", where=str(path)) from error
    except OSError as error:
        raise GalenError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _read(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    where = f"{path}: {entry.filename[:-4]}"
    try:
        with archive.open(entry) as stream:
            shape, fortran, dtype = _header(stream)
            start = stream.tell()
            _check_size(shape, dtype, entry.file_size - start, where)
            if entry.compress_type == zipfile.ZIP_STORED and dtype.itemsize and 0 not in shape:
                offset = _data_offset(path, entry) + start
                return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")
            data = np.frombuffer(stream.read(), dtype)
            return data.reshape(shape, order="F" if fortran else "C")
    except (*_MALFORMED, tokenize.TokenError, zlib.error) as error:
        raise GalenError("not a numpy array, or a damaged one", where=where) from error
    except MemoryError as error:
        raise GalenError("does not fit into memory", where=where) from error


def _header(stream: object) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(stream)  # type: ignore[arg-type]
    if version == (1, 0):
        return npy.read_array_header_1_0(stream)  # type: ignore[arg-type]
    return npy.read_array_header_2_0(stream)  # type: ignore[arg-type]


def _check_size(shape: tuple[int, ...], dtype: np.dtype, available: int, where: str) -> None:
    if dtype.hasobject:
        raise GalenError("holds Python objects, which are never unpickled", where=where, hint="save plain numbers")
    size = dtype.itemsize
    for length in shape:
        size *= max(length, 0)
    if size != available or any(length < 0 for length in shape):
        raise GalenError(f"shape {list(shape)} of {dtype} does not match its {available} bytes", where=where)


def _data_offset(path: Path, entry: zipfile.ZipInfo) -> int:
    """Where an entry's data begins: its local header is followed by name and extra field of their own lengths."""
    with path.open("rb") as file:
        file.seek(entry.header_offset)
        local = file.read(_LOCAL_HEADER)
    name, extra = int.from_bytes(local[26:28], "little"), int.from_bytes(local[28:30], "little")
    return entry.header_offset + _LOCAL_HEADER + name + extra
