"""Searcher states as bytes and back: JSON with the arrays beside it in one npz archive. Nothing is ever unpickled."""

import io
import json
from typing import Any

import numpy as np

_TREE = "tree"
_ARRAY, _BYTES = "$array", "$bytes"


def pack(state: Any) -> bytes:
    """Return `state` (JSON values with string keys, byte strings, numpy arrays) as bytes."""
    arrays: dict[str, np.ndarray] = {}
    tree = json.dumps(_take_out(state, arrays))
    buffer = io.BytesIO()
    np.savez(buffer, **{_TREE: np.frombuffer(tree.encode(), np.uint8)}, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack(data: bytes) -> Any:
    """Return what `pack` was given (tuples as lists)."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = dict(archive)
    return _put_back(json.loads(arrays.pop(_TREE).tobytes()), arrays)


def _take_out(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        return {key: _take_out(item, arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_take_out(item, arrays) for item in value]
    if isinstance(value, (np.ndarray, bytes)):
        name = f"a{len(arrays)}"
        arrays[name] = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
        return {_BYTES if isinstance(value, bytes) else _ARRAY: name}
    return value


def _put_back(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_put_back(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {_ARRAY}:
        return arrays[value[_ARRAY]]
    if value.keys() == {_BYTES}:
        return arrays[value[_BYTES]].tobytes()
    return {key: _put_back(item, arrays) for key, item in value.items()}
