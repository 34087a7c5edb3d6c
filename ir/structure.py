"""Whether a graph is one: every value has one producer that comes before its readers, and names are unique."""

from collections import Counter
from collections.abc import Iterator

import onnx_ir

from galen.ir.edit import all_graphs, subgraphs_of
from galen.ir.errors import GalenError


def put_in_order(model: onnx_ir.Model) -> None:
    """Sort the nodes where one comes before what it reads, as some exporters leave them.

    Raises:
        GalenError: a node reads what nothing computes, or itself by way of others.
    """
    graphs = list(_graphs(model))
    for graph in graphs:
        _check_sources(graph)
    if all(map(_in_order, graphs)):
        return
    try:
        for graph in (model.graph, *(function.graph for function in model.functions.values())):
            graph.sort()
    except ValueError as error:
        raise GalenError("the graph has a cycle", where=model.graph.name) from error


def _graphs(model: onnx_ir.Model) -> Iterator[onnx_ir.Graph]:
    yield from all_graphs(model)
    for function in model.functions.values():
        yield function.graph
        yield from function.subgraphs()


def _check_sources(graph: onnx_ir.Graph) -> None:
    for node in graph:
        for value in node.inputs:
            if value is not None and not _has_source(value):
                raise GalenError(_why_missing(value, graph), where=f"node {node.name or node.op_type}")
    for value in graph.outputs:
        if not _has_source(value):
            raise GalenError("no node computes this output", where=f"output {value.name}")


def _has_source(value: onnx_ir.Value) -> bool:
    return value.producer() is not None or value.is_graph_input() or value.is_initializer()


def _in_order(graph: onnx_ir.Graph) -> bool:
    seen: set[onnx_ir.Node] = set()
    for node in graph:
        producers = [value.producer() for value in node.inputs if value is not None]
        if any(producer is not None and producer.graph is graph and producer not in seen for producer in producers):
            return False
        seen.add(node)
    return True


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
    for graph in all_graphs(model):
        values = {*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)}
        _check_unique("value", [value.name for value in values])
        _check_unique("node", [node.name for node in graph])
        _check_unique("output", [value.name for value in graph.outputs])


def _check_unique(kind: str, names: list[str | None]) -> None:
    for name, count in Counter(name for name in names if name).items():
        if count > 1:
            raise GalenError(f"{count} {kind}s have this name", where=name, hint="simplify gives unique names")
