"""Whether a binary computes its model: its outputs beside onnxruntime's, and where it rounds, piece by piece."""

from collections.abc import Callable

import numpy as np

from galen.boundaries import Arrays, boundaries, expose, resume
from galen.ir import DataType, GalenError, Model, Node
from galen.ir.edit import all_nodes, const_value
from galen.ir.execute import run

Compute = Callable[[Model], Arrays]
"""Compiles a model, runs it on the target and returns its outputs: always for the same inputs."""

FINE, COARSE = 1e-3, 0.02
"""Largest difference to onnxruntime, as a share of the largest number; where there are fp16 or roundings that cannot be
cut at."""


def verify(model: Model, compute: Compute, inputs: Arrays, *, where: str) -> float:
    """Return the largest absolute difference of a binary's outputs to what onnxruntime computes.

    Where outputs differ by more than the order of sums explains, but the model rounds to integers on its way, each
    piece between two roundings is held against onnxruntime instead, see `galen.boundaries`.

    Args:
        model: left as it is.
        compute: is asked for `model` and, where pieces are compared, for a copy that returns its integers as well.
        inputs: of one inference.
        where: what the binary runs on.

    Raises:
        GalenError: the binary computes something else; names `where` and the first value that shows it.
    """
    expected, found = run(model, inputs), compute(model)
    share = _share(model)
    far = [name for name, array in expected.items() if not _near(found[name], array, share)]
    if far:
        fault = _fault(model, compute, inputs, found, share) if boundaries(model) else f"output {far[0]}"
        if fault is not None:
            error = _distance(found[far[0]], expected[far[0]])
            text = f"output {far[0]} differs by {error:.3g} from onnxruntime's; the first that does: {fault}"
            raise GalenError(text, where=where, hint="please report the model")
    return max((_distance(found[name], array) for name, array in expected.items()), default=0.0)


def _fault(model: Model, compute: Compute, inputs: Arrays, found: Arrays, share: float) -> str | None:
    """Return the first value that the binary computes otherwise than onnxruntime does from the same integers."""
    seen = compute(expose(model))
    for name, array in found.items():
        if not np.array_equal(array, seen[name], equal_nan=True):
            return f"output {name}, which changes when integers are returned, too"
    exact = resume(model, inputs, seen)
    for boundary in boundaries(model):
        source = exact[boundary.source]
        if not boundary.holds(seen[boundary.name], source, share * _largest(source)):
            return f"value {boundary.name}"
    return next((f"output {name}" for name, array in found.items() if not _near(array, exact[name], share)), None)


def _near(found: np.ndarray, expected: np.ndarray, share: float) -> bool:
    return _distance(found, expected) <= share * _largest(expected)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.float64) - b).max(initial=0.0))


def _largest(array: np.ndarray) -> float:
    return max(float(np.abs(array).max(initial=0.0)), 1e-12)


def _share(model: Model) -> float:
    """Return how far numbers may be off, as a share of the largest one."""
    cut = {boundary.node for boundary in boundaries(model)}
    return COARSE if any(_is_coarse(node) and node not in cut for node in all_nodes(model)) else FINE


def _is_coarse(node: Node) -> bool:
    """Return whether a node works on fp16, or rounds what is computed to integers."""
    half = any(value is not None and value.dtype == DataType.FLOAT16 for value in node.inputs)
    rounds = "QuantizeLinear" in node.op_type or node.op_type.startswith("QLinear")
    return half or (rounds and const_value(node.inputs[0]) is None)
