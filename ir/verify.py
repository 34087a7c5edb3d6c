"""Is this a model that runs? `onnx.checker` passes on broken files, so structure, shapes and a run are checked."""

from collections import Counter

import numpy as np
import onnx
import onnx_ir

from galen.ir.edit import subgraphs_of
from galen.ir.errors import GalenError
from galen.ir.execute import one_line, random_inputs, run
from galen.ir.shapes import Shapes, without_weights

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


def check_structure(model: onnx_ir.Model) -> None:
    """Check that every value has one producer that comes before its users, and that names are unique.

    Raises:
        GalenError: a dangling value, a cycle or wrong order, a name used twice, an initializer without data.
    """
    _check_graph(model.graph, set())
    for function in model.functions.values():
        _check_nodes(function, set(function.inputs))
    _check_names(model)


def _check_graph(graph: onnx_ir.Graph, outer: set[onnx_ir.Value]) -> None:
    for name, value in graph.initializers.items():
        if value.const_value is None:
            raise GalenError("the initializer has no data", where=name)
        if value.shape is not None and value.shape != value.const_value.shape:
            raise GalenError(f"declared {value.shape}, holds {value.const_value.shape}", where=f"initializer {name}")
    available = _check_nodes(graph, outer | set(graph.inputs) | set(graph.initializers.values()))
    for value in graph.outputs:
        if value not in available:
            raise GalenError("no node computes this output", where=f"output {value.name}")


def _check_nodes(graph: onnx_ir.Graph | onnx_ir.Function, available: set[onnx_ir.Value]) -> set[onnx_ir.Value]:
    """Walk the nodes in order, adding what they compute to `available`; subgraphs see what came before their node."""
    for node in graph:
        for value in node.inputs:
            if value is not None and value not in available:
                raise GalenError(_why_missing(value, graph), where=f"node {node.name or node.op_type}")
        for subgraph in subgraphs_of(node):
            _check_graph(subgraph, set(available))
        available.update(node.outputs)
    return available


def _why_missing(value: onnx_ir.Value, graph: onnx_ir.Graph | onnx_ir.Function) -> str:
    producer = value.producer()
    if producer is None:
        return f"reads {value.name}, which nothing computes"
    if producer.graph is graph:
        return f"reads {value.name} before node {producer.name or producer.op_type} computes it: a cycle or wrong order"
    return f"reads {value.name} of node {producer.name or producer.op_type}, which is not in the graph"


def _check_names(model: onnx_ir.Model) -> None:
    for graph in model.graphs():
        values = {*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)}
        _check_unique("value", [value.name for value in values])
        _check_unique("node", [node.name for node in graph])
        _check_unique("output", [value.name for value in graph.outputs])


def _check_unique(kind: str, names: list[str | None]) -> None:
    for name, count in Counter(name for name in names if name).items():
        if count > 1:
            raise GalenError(f"{count} {kind}s have this name", where=name, hint="simplify gives unique names")


def check_shapes(model: onnx_ir.Model) -> None:
    """Check types and shapes of all values against ONNX shape inference.

    Raises:
        GalenError: a declared type or shape contradicts the computed one, or operands do not fit each other.
    """
    try:
        onnx.shape_inference.infer_shapes(without_weights(model), check_type=True, strict_mode=True, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise GalenError(f"types or shapes do not fit: {one_line(error)}") from error
