"""Taking large tensors out of a serialized model and putting them back, without decoding or copying them.

A protobuf message is a row of fields: a key (number x 8 + wire type) and a payload; length-delimited payloads (wire
type 2) are prefixed by their length (protobuf.dev, "Encoding"). Reading a 100 MB model with the protobuf library takes
300 MB; here its weights are stepped over.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import onnx
import onnx_ir

from galen.ir.errors import GalenError

LARGE = 4096
"""Tensors of fewer bytes than this stay in the message."""

HERE = "galen:here"
"""The location that an external tensor gets that is taken out of, or is to be put into, the message itself."""

Buffer = bytes | memoryview
Piece = bytes | onnx_ir.TensorProtocol

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_RAW_DATA = 9

_CHILDREN: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 11: "graph"},
    "tensor": {},
}
"""Message -> field number -> message: the ways that lead to tensors (onnx.proto)."""


class Field(NamedTuple):
    """One field of a message: where its key, its payload and the next field start."""

    number: int
    start: int
    payload: int
    end: int


def fields(data: Buffer, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message at `data[start:end]`.

    Raises:
        GalenError: the bytes are no message, or end too early.
    """
    at = start
    while at < end:
        key, payload = _varint(data, at, end)
        kind = key & 7
        if kind == _LENGTH:
            length, payload = _varint(data, payload, end)
            stop = payload + length
        elif kind == _VARINT:
            stop = _varint(data, payload, end)[1]
        elif kind in (_FIXED64, _FIXED32):
            stop = payload + (8 if kind == _FIXED64 else 4)
        else:
            raise GalenError("not an ONNX file")
        if stop > end or key >> 3 == 0:
            raise GalenError("not an ONNX file, or a truncated one")
        yield Field(key >> 3, at, payload, stop)
        at = stop


def _varint(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """Return the number at `at` and where it ends."""
    number = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        number |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return number, at
        shift += 7
    raise GalenError("not an ONNX file, or a truncated one")


def _encoded(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _header(field: int, length: int) -> bytes:
    return _encoded(field << 3 | _LENGTH) + _encoded(length)


def take_out(data: Buffer) -> bytes:
    """Return the serialized model without its large tensors: they become external ones at location `HERE`.

    Raises:
        GalenError: the bytes are no model, or end too early.
    """
    return b"".join(_without_tensors(data, "model", 0, len(data)))


def _without_tensors(data: Buffer, kind: str, start: int, end: int) -> Iterator[Buffer]:
    kept = start
    for field in fields(data, start, end):
        child = _CHILDREN[kind].get(field.number)
        if child is None or field.end - field.payload < LARGE:
            continue
        yield data[kept : field.start]
        if child == "tensor":
            inner = _pointer(data, field)
        else:
            inner = b"".join(_without_tensors(data, child, field.payload, field.end))
        yield _header(field.number, len(inner)) + inner
        kept = field.end
    yield data[kept:end]


def _pointer(data: Buffer, tensor: Field) -> Buffer:
    """Return a tensor message with its raw data replaced by where that is; as it is when it has none."""
    parts = list(fields(data, tensor.payload, tensor.end))
    raw = next((part for part in parts if part.number == _RAW_DATA and part.end - part.payload >= LARGE), None)
    if raw is None:
        return data[tensor.payload : tensor.end]
    rest = b"".join(bytes(data[part.start : part.end]) for part in parts if part is not raw)
    proto = onnx.TensorProto.FromString(rest)
    proto.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", HERE), ("offset", raw.payload), ("length", raw.end - raw.payload)):
        proto.external_data.add(key=key, value=str(value))
    pointer: bytes = proto.SerializeToString()
    return pointer


def put_in(data: bytes, tensors: Sequence[onnx_ir.TensorProtocol]) -> list[Piece]:
    """Return the serialized model in pieces, in which external tensors at `HERE` are replaced by their data.

    Args:
        data: the model; the offset of such a tensor is its position in `tensors`.
        tensors: stand for their bytes among the pieces.
    """
    return list(_with_tensors(data, "model", 0, len(data), tensors))


def _with_tensors(
    data: bytes, kind: str, start: int, end: int, tensors: Sequence[onnx_ir.TensorProtocol]
) -> Iterator[Piece]:
    kept = start
    for field in fields(data, start, end):
        child = _CHILDREN[kind].get(field.number)
        if child is None or data.find(HERE.encode(), field.payload, field.end) < 0:
            continue
        yield data[kept : field.start]
        if child == "tensor":
            pieces = _resolved(data[field.payload : field.end], tensors)
        else:
            pieces = list(_with_tensors(data, child, field.payload, field.end, tensors))
        yield _header(field.number, sum(map(size, pieces)))
        yield from pieces
        kept = field.end
    yield data[kept:end]


def _resolved(data: bytes, tensors: Sequence[onnx_ir.TensorProtocol]) -> list[Piece]:
    proto = onnx.TensorProto.FromString(data)
    entries = {entry.key: entry.value for entry in proto.external_data}
    if entries.get("location") != HERE:
        return [data]
    tensor = tensors[int(entries["offset"])]
    proto.ClearField("external_data")
    proto.ClearField("data_location")
    return [proto.SerializeToString(), _header(_RAW_DATA, tensor.nbytes), tensor]


def size(piece: Piece) -> int:
    """Return how many bytes a piece stands for."""
    return len(piece) if isinstance(piece, bytes) else piece.nbytes
