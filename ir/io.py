"""Models from files, bytes and streams, and back. A file is either written completely or not at all."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import onnx
import onnx_ir
from google.protobuf.message import DecodeError

from galen.ir.errors import GalenError

STANDARD_STREAM = "-"


def load(source: str | Path | bytes) -> onnx_ir.Model:
    """Read a model from a path, `-` (standard input) or the bytes of a file. External data stays on disk until used.

    Raises:
        GalenError: the source is missing, a directory, empty, truncated or not ONNX.
    """
    if isinstance(source, bytes):
        return _parse(source, "bytes", Path())
    if str(source) == STANDARD_STREAM:
        return _parse(sys.stdin.buffer.read(), "standard input", Path())
    path = Path(source)
    with readable(path):
        data = path.read_bytes()
    return _parse(data, str(path), path.parent)


def save(model: onnx_ir.Model, target: str | Path | IO[bytes]) -> None:
    """Write a model to a path, `-` (standard output) or a binary stream.

    Raises:
        GalenError: the target cannot be written; nothing is left behind.
    """
    data = onnx_ir.to_proto(model).SerializeToString()
    if not isinstance(target, str | Path):
        target.write(data)
    elif str(target) == STANDARD_STREAM:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        with atomic(Path(target)) as stream:
            stream.write(data)


def check_target(target: str | Path) -> None:
    """Fail early, before any work, when `target` cannot be a file or its folder is missing or read-only.

    Raises:
        GalenError: the reason.
    """
    path = Path(target)
    if str(target) == STANDARD_STREAM:
        return
    if path.is_dir():
        raise GalenError("is a directory, not a file", where=str(path))
    if not path.parent.is_dir():
        raise GalenError("the folder does not exist", where=str(path.parent))
    if not os.access(path.parent, os.W_OK):
        raise GalenError("the folder is not writable", where=str(path.parent))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the errors of reading `path` into a GalenError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise GalenError("no such file", where=str(path)) from error
    except IsADirectoryError as error:
        raise GalenError("is a directory, not a file", where=str(path)) from error
    except OSError as error:
        raise GalenError(f"cannot be read: {error.strerror}", where=str(path)) from error


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside `path` and rename it at the end; after an error `path` is as it was and nothing is left."""
    if path.is_dir():
        raise GalenError("is a directory, not a file", where=str(path))
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except OSError as error:
        raise GalenError(f"cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Permissions that a plain `open` would have given the file."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _parse(data: bytes, name: str, base: Path) -> onnx_ir.Model:
    if not data:
        raise GalenError("the file is empty", where=name)
    try:
        proto = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise GalenError("not an ONNX file, or a truncated one", where=name) from error
    if not proto.HasField("graph") or not proto.opset_import:
        raise GalenError("not an ONNX model: it has no graph or no opset", where=name)
    return from_proto(proto, name, base)


def to_proto(model: onnx_ir.Model) -> onnx.ModelProto:
    """Return the model as protobuf, weights included: external data is read into memory."""
    copy = model.clone()
    onnx_ir.external_data.load_to_model(copy)
    return onnx_ir.to_proto(copy)


def from_proto(proto: onnx.ModelProto, name: str = "model", base: Path | None = None) -> onnx_ir.Model:
    """Turn a parsed model into the IR.

    Args:
        proto: the model; its tensors are referred to, not copied.
        name: what to call it in messages.
        base: folder of its external data.

    Raises:
        GalenError: the model is malformed.
    """
    try:
        model = onnx_ir.from_proto(proto)
    except (onnx_ir.serde.SerdeError, ValueError, TypeError, KeyError) as error:
        raise GalenError(f"malformed model: {_root_cause(error)}", where=name) from error
    for graph in model.graphs():
        onnx_ir.external_data.set_base_dir(graph, base or Path())
    for value in model.graph.inputs:
        _open_negative_dims(value)
    return model


def _open_negative_dims(value: onnx_ir.Value) -> None:
    """Some exporters write -1 for a dimension that is not known."""
    if value.shape is not None and any(isinstance(dim, int) and dim < 0 for dim in value.shape):
        value.shape = onnx_ir.Shape(None if isinstance(dim, int) and dim < 0 else dim for dim in value.shape)


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())[:200]
