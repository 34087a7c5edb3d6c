"""Sparse constants, which the IR has no form for, as dense ones."""

import numpy as np
import onnx
from onnx import numpy_helper

from galen.ir.errors import GalenError

_LIMIT = 2**31
"""Elements that a dense form may have."""


def densified(message: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with dense constants in the place of sparse ones; itself when it has none.

    Raises:
        GalenError: a sparse constant is malformed, or too large as a dense one.
    """
    if not _is_sparse(message.graph):
        return message
    copy = onnx.ModelProto()
    copy.CopyFrom(message)
    _densify(copy.graph)
    return copy


def _is_sparse(graph: onnx.GraphProto) -> bool:
    attributes = [attr for node in graph.node for attr in node.attribute]
    here = len(graph.sparse_initializer) > 0 or any(attr.HasField("sparse_tensor") for attr in attributes)
    return here or any(_is_sparse(attr.g) for attr in attributes if attr.HasField("g"))


def _densify(graph: onnx.GraphProto) -> None:
    for sparse in graph.sparse_initializer:
        graph.initializer.append(_dense(sparse))
    del graph.sparse_initializer[:]
    for node in graph.node:
        for attr in node.attribute:
            if attr.HasField("g"):
                _densify(attr.g)
            if attr.HasField("sparse_tensor"):
                attr.CopyFrom(onnx.helper.make_attribute("value", _dense(attr.sparse_tensor)))


def _dense(sparse: onnx.SparseTensorProto) -> onnx.TensorProto:
    """Scatter the values: their places are numbers in the flattened tensor, or one row of coordinates each."""
    name, dims = sparse.values.name, tuple(sparse.dims)
    if np.prod(dims, dtype=np.float64) > _LIMIT:
        raise GalenError(f"{list(dims)} is too large as a dense tensor", where=f"sparse tensor {name}")
    try:
        values, places = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
        dense = np.zeros(dims, values.dtype)
        dense[tuple(places.T) if places.ndim == 2 else np.unravel_index(places, dims)] = values
    except (ValueError, IndexError, TypeError) as error:
        raise GalenError("its indices do not fit its shape", where=f"sparse tensor {name}") from error
    return numpy_helper.from_array(dense, name)
