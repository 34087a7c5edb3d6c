"""Is this a model that runs? `onnx.checker` passes on broken files, so structure, shapes and a run are checked."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import onnx_ir

from galen.ir.clone import clone
from galen.ir.errors import GalenError
from galen.ir.execute import one_line, random_inputs, run
from galen.ir.outline import outline
from galen.ir.shapes import Shapes
from galen.ir.structure import check_structure

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Domains whose operators onnxruntime brings along."""


def verify(model: onnx_ir.Model, shapes: Shapes | None = None, *, seed: int = 0) -> None:
    """Check structure, then types and shapes, then run the model in onnxruntime on random inputs.

    A model with operators of other domains cannot be run by anyone without their library: it is checked, not run.

    Raises:
        GalenError: the first fault found, with the node or value.
    """
    check_structure(model)
    check_shapes(model)
    if not custom_operators(model):
        run(model, random_inputs(model, np.random.default_rng(seed), shapes))


def custom_operators(model: onnx_ir.Model) -> list[str]:
    """Return the operators that neither onnxruntime nor the model itself defines, as `domain.Operator`."""
    nodes = onnx_ir.traversal.RecursiveGraphIterator(model.graph)
    return sorted(
        {
            f"{node.domain}.{node.op_type}"
            for node in nodes
            if node.domain not in STANDARD_DOMAINS and node.op_identifier() not in model.functions
        }
    )


def check_shapes(model: onnx_ir.Model) -> None:
    """Check types and shapes of all values against ONNX shape inference.

    Raises:
        GalenError: a declared type or shape contradicts the computed one, or operands do not fit each other.
    """
    try:
        onnx.shape_inference.infer_shapes(outline(model), check_type=True, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise GalenError(f"types or shapes do not fit: {one_line(error)}") from error


@contextmanager
def blamed(model: onnx_ir.Model) -> Iterator[None]:
    """Where the block fails as nobody foresaw, say what is wrong with the model as it was before, if anything is.

    Rewrites need not doubt types and shapes; checking those of every model first would take longer than most rewrites.

    Raises:
        GalenError: the model is at fault.
    """
    before = clone(model)
    try:
        yield
    except (GalenError, OSError, MemoryError):
        raise
    except Exception as error:
        try:
            check_structure(before)
            check_shapes(before)
        except GalenError as fault:
            raise fault from error
        raise
