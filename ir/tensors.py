"""Tensors that stay in their file until somebody looks at them, and are forgotten again afterwards."""

import os
from pathlib import Path
from typing import IO, Protocol

import numpy as np
import onnx
import onnx_ir

from galen.ir.errors import GalenError

_CHUNK = 1 << 24


class Source(Protocol):
    """Bytes at offsets: a file or a buffer."""

    def read(self, offset: int, length: int) -> bytes | memoryview:
        """Return `length` bytes from `offset`.

        Raises:
            GalenError: they cannot be read, or there are fewer.
        """
        ...

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...


class FileSource:
    """An open file. It can be replaced or deleted under its name without harm, but not overwritten in place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`."""
        data = bytearray()
        while len(data) < length:
            try:
                part = os.pread(self._file.fileno(), length - len(data), offset + len(data))
            except OSError as error:
                raise GalenError(f"cannot be read: {error.strerror}", where=str(self._path)) from error
            if not part:
                raise GalenError("the file has shrunk since it was opened", where=str(self._path))
            if len(part) == length:
                return part
            data += part
        return bytes(data)

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return os.fstat(self._file.fileno()).st_size


class BufferSource:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def read(self, offset: int, length: int) -> memoryview:
        """Return `length` bytes from `offset`, not copied."""
        return self._data[offset : offset + length]

    @property
    def size(self) -> int:
        """The buffer's size in bytes."""
        return len(self._data)


class StoredTensor(onnx_ir.LazyTensor):
    """A tensor at a place of a `Source`, read anew whenever its values are asked for.

    Attributes:
        external: whether the model keeps it outside of its own file.
    """

    def __init__(self, source: Source, offset: int, like: onnx_ir.ExternalTensor, *, external: bool) -> None:
        super().__init__(
            self._read,
            like.dtype,
            onnx_ir.Shape(like.shape.numpy()),
            cache=False,
            name=like.name or "",
            doc_string=like.doc_string,
            metadata_props=dict(like.metadata_props),
        )
        self._source, self._offset, self.external = source, offset, external
        if like.length is not None and like.length != self.nbytes:
            raise GalenError(f"holds {like.length} bytes, its type and shape need {self.nbytes}", where=like.name)
        if offset + self.nbytes > source.size:
            raise GalenError("lies beyond the end of its file: truncated?", where=f"tensor {like.name}")

    def numpy(self) -> np.ndarray:
        """Return the values as an array, without a tensor around them where they need no unpacking."""
        return super().numpy() if self.dtype.bitwidth < 8 else self._array()

    def _array(self) -> np.ndarray:
        data = self._source.read(self._offset, self.nbytes)
        return np.frombuffer(data, self.dtype.numpy().newbyteorder("<")).reshape(self.shape.numpy())

    def _read(self) -> onnx_ir.TensorProtocol:
        if self.dtype.bitwidth < 8:
            data = bytes(self._source.read(self._offset, self.nbytes))
            proto = onnx.TensorProto(data_type=self.dtype.value, dims=self.shape.numpy(), raw_data=data)
            return onnx_ir.serde.TensorProtoTensor(proto)
        return onnx_ir.Tensor(self._array(), self.dtype, shape=self.shape, name=self.name)

    def tofile(self, file: IO[bytes]) -> None:
        """Copy the tensor to a binary stream, in pieces."""
        for start in range(0, self.nbytes, _CHUNK):
            file.write(self._source.read(self._offset + start, min(_CHUNK, self.nbytes - start)))
