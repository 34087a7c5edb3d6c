"""Models from files, bytes and streams, and back. A file is either written completely or not at all."""

import mmap
import sys
from pathlib import Path
from typing import IO

import onnx
import onnx_ir
from google.protobuf.message import DecodeError

from galen.ir import large, wire
from galen.ir.clone import clone
from galen.ir.errors import GalenError, root_cause
from galen.ir.files import STANDARD_STREAM, atomic, readable
from galen.ir.message import from_message, to_message
from galen.ir.schemas import check_form
from galen.ir.structure import put_in_order
from galen.ir.tensors import BufferSource, FileSource, Source, StoredTensor

INITIALIZERS_NEED_NOT_BE_INPUTS = 4
"""The IR version from which on an initializer may, but need not, be an input: the oldest that models are kept in."""

PROTOBUF_LIMIT = 2**31 - 2**24
"""Bytes of tensors that a single file can hold, with room for the graph."""


def load(source: str | Path | bytes) -> onnx_ir.Model:
    """Read a model from a path, `-` (standard input) or the bytes of a file. Large tensors stay on disk until used.

    Raises:
        GalenError: the source is missing, a directory, empty, truncated or not ONNX, or its external data is.
    """
    if isinstance(source, bytes):
        return _parse(source, BufferSource(source), "bytes", Path())
    if str(source) == STANDARD_STREAM:
        data = sys.stdin.buffer.read()
        return _parse(data, BufferSource(data), "standard input", Path())
    path = Path(source)
    with readable(path):
        if not path.is_file():  # a pipe; what is missing or a folder fails here with the right error
            data = path.read_bytes()
            return _parse(data, BufferSource(data), str(path), path.parent)
        stored = FileSource(path)
        if stored.size == 0:
            raise GalenError("the file is empty", where=str(path))
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            view = memoryview(mapped)
            try:
                return _parse(view, stored, str(path), path.parent)
            finally:
                view.release()


def save(model: onnx_ir.Model, target: str | Path | IO[bytes], *, external: bool | None = None) -> None:
    """Write a model to a path or a binary stream. Tensors are copied through, one at a time.

    Args:
        model: left as it is.
        target: a path, or a stream that is written at its position.
        external: whether a file `<path>.data` beside it gets the large tensors; by default it does if they were
            external before or are over 2 GB, more than one file can hold.

    Raises:
        GalenError: the target cannot be written; a file that was there is still there, and nothing is left behind.
    """
    if isinstance(target, str | Path):
        path = Path(target)
        with atomic(path) as stream:
            if _is_external(model) if external is None else external:
                _save_external(model, path.with_name(f"{path.name}.data"), stream)
            else:
                _save_inline(model, stream)
    elif large.total_bytes(model) > PROTOBUF_LIMIT:
        raise GalenError("the model is over 2 GB, which no single stream can hold", hint="write to a file")
    else:
        _save_inline(model, target)


def _save_inline(model: onnx_ir.Model, stream: IO[bytes]) -> None:
    skeleton = clone(model)
    taken = large.take_out(skeleton)
    for piece in wire.put_in(to_message(skeleton).SerializeToString(), taken):
        if isinstance(piece, bytes):
            stream.write(piece)
        else:
            _write_tensor(piece, stream)


def _save_external(model: onnx_ir.Model, data_path: Path, stream: IO[bytes]) -> None:
    skeleton = clone(model)
    with atomic(data_path) as data:

        def moved(tensor: onnx_ir.TensorProtocol) -> onnx_ir.TensorProtocol:
            if not large.is_large(tensor):
                return tensor
            offset = data.tell()
            _write_tensor(tensor, data)
            return large.pointer(tensor, data_path.name, offset)

        large.replace(skeleton, moved)
        stream.write(to_message(skeleton).SerializeToString())
        stream.flush()  # both files are complete before either gets its name


def _write_tensor(tensor: onnx_ir.TensorProtocol, stream: IO[bytes]) -> None:
    if hasattr(tensor, "tofile"):
        tensor.tofile(stream)
    else:
        stream.write(tensor.tobytes())


def _is_external(model: onnx_ir.Model) -> bool:
    external = any(isinstance(tensor, StoredTensor) and tensor.external for tensor in large.tensors(model))
    return external or large.total_bytes(model) > PROTOBUF_LIMIT


def _parse(data: wire.Buffer, source: Source, name: str, base: Path) -> onnx_ir.Model:
    if not len(data):
        raise GalenError("the file is empty", where=name)
    try:
        proto = onnx.ModelProto.FromString(wire.take_out(data))
    except (DecodeError, GalenError) as error:
        raise GalenError("not an ONNX file, or a truncated one", where=name) from error
    return from_proto(proto, name, base, source)


def to_proto(model: onnx_ir.Model) -> onnx.ModelProto:
    """Return the model as protobuf, weights included.

    Raises:
        GalenError: the model is over 2 GB, more than protobuf can hold.
    """
    if large.total_bytes(model) > PROTOBUF_LIMIT:
        raise GalenError("the model is over 2 GB, more than a ModelProto can hold", hint="save it to a file")
    return to_message(model)


def from_proto(
    proto: onnx.ModelProto, name: str = "model", base: Path | None = None, source: Source | None = None
) -> onnx_ir.Model:
    """Turn a parsed model into the IR.

    Args:
        proto: the model; its tensors are referred to, not copied.
        name: what to call it in messages.
        base: folder of its external data.
        source: where the tensors are that `wire.take_out` took out.

    Raises:
        GalenError: the model is malformed, or its external data is missing or too short.
    """
    if not proto.HasField("graph") or not proto.opset_import:
        raise GalenError("not an ONNX model: it has no graph or no opset", where=name)
    places = _Places(source, base or Path())
    try:
        model = from_message(proto)
        put_in_order(model)
        check_form(model)
        large.replace(model, places.lazy)
    except GalenError as error:
        raise GalenError(str(error), where=name) from error
    for value in model.graph.inputs:
        _open_negative_dims(value)
    model.ir_version = max(model.ir_version, INITIALIZERS_NEED_NOT_BE_INPUTS)
    return model


class _Places:
    """The sources of external tensors, each file opened once."""

    def __init__(self, here: Source | None, base: Path) -> None:
        self._here, self._base = here, base
        self._files: dict[str, FileSource] = {}

    def lazy(self, tensor: onnx_ir.TensorProtocol) -> onnx_ir.TensorProtocol:
        """Return an external tensor as one that is read without mapping whole files into memory, others as they are.

        Raises:
            GalenError: the tensor has no type, or its bytes are not of its type and shape.
        """
        try:
            if tensor.dtype == onnx_ir.DataType.UNDEFINED:
                raise GalenError("has no type", where=f"tensor {tensor.name}")
            if isinstance(tensor, onnx_ir.ExternalTensor):
                return self._stored(tensor)
            tensor.numpy()
        except (ValueError, TypeError, AssertionError) as error:  # what the library says of tensors that lie
            raise GalenError(f"is damaged: {root_cause(error)}", where=f"tensor {tensor.name}") from error
        return tensor

    def _stored(self, tensor: onnx_ir.ExternalTensor) -> StoredTensor:
        location, offset = str(tensor.location), tensor.offset or 0
        if location == wire.HERE and self._here is not None:
            return StoredTensor(self._here, offset, tensor, external=False)
        return StoredTensor(self._file(location), offset, tensor, external=True)

    def _file(self, location: str) -> FileSource:
        if location not in self._files:
            path = (self._base / location).resolve()
            if not path.is_relative_to(self._base.resolve()):
                raise GalenError(f"external data outside of the model's folder: {location}")
            with readable(path):
                self._files[location] = FileSource(path)
        return self._files[location]


def _open_negative_dims(value: onnx_ir.Value) -> None:
    """Some exporters write -1 for a dimension that is not known."""
    if value.shape is not None and any(isinstance(dim, int) and dim < 0 for dim in value.shape):
        value.shape = onnx_ir.Shape(None if isinstance(dim, int) and dim < 0 else dim for dim in value.shape)
