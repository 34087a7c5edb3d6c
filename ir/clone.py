"""Copies of a model and the way back to one. Tensors are shared, never copied."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import onnx_ir

from galen.ir.errors import GalenError, root_cause


def clone(model: onnx_ir.Model) -> onnx_ir.Model:
    """Return an independent copy of the graph that shares all tensors: editing either leaves the other alone.

    Raises:
        GalenError: the graph is broken: a node reads what is out of its reach.
    """
    try:
        return model.clone()
    except RuntimeError as error:
        raise GalenError(f"broken graph: {root_cause(error)}") from error


def restore(model: onnx_ir.Model, backup: onnx_ir.Model) -> None:
    """Make `model` what `backup` is, in place. `backup` must not be used afterwards."""
    model.graph = backup.graph
    model.functions.clear()
    model.functions.update(backup.functions)
    model.metadata_props.clear()
    model.metadata_props.update(backup.metadata_props)
    model.ir_version = backup.ir_version
    model.doc_string = backup.doc_string
    model.domain = backup.domain
    model.model_version = backup.model_version
    model.producer_name = backup.producer_name
    model.producer_version = backup.producer_version
    model.device_configurations = backup.device_configurations


@contextmanager
def transaction(model: onnx_ir.Model) -> Iterator[None]:
    """Undo every change of the block when it raises, Ctrl-C included.

    Costs one walk over the graph. After an error `model.graph` is a new object: hold the model, not its graph.
    """
    with ExitStack() as undo:
        undo.callback(restore, model, clone(model))
        yield
        undo.pop_all()
