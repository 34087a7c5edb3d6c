"""Small steps of graph editing that every rewrite is made of: constants, names, uses, attributes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx_ir

from galen.ir.errors import GalenError


def const_tensor(value: onnx_ir.Value | None) -> onnx_ir.TensorProtocol | None:
    """Return the tensor behind `value` (an initializer or the output of a Constant node), None when it is computed.

    A graph input with a default (an initializer that is also an input) is not constant: the caller may feed it.
    """
    if value is None or value.is_graph_input():
        return None
    if (tensor := value.const_value) is not None:
        return tensor
    producer = value.producer()
    if producer is None or producer.op_type != "Constant":
        return None
    try:
        return onnx_ir.convenience.get_const_tensor(value)
    except ValueError as error:
        raise GalenError("malformed Constant node", where=value.name) from error


def const_value(value: onnx_ir.Value | None) -> np.ndarray | None:
    """Return the constant behind `value` as an array (do not write to it), None when it is not constant."""
    tensor = const_tensor(value)
    return None if tensor is None else tensor.numpy()


_KNOWN_DOMAINS = ("", "com.microsoft")


def operator(node: onnx_ir.Node | None) -> str:
    """Return a node's operator type if ONNX or onnxruntime defines it, "" else: there `Cast` may be anything."""
    return node.op_type if node is not None and node.domain in _KNOWN_DOMAINS else ""


def attribute(node: onnx_ir.Node, name: str, default: Any = None) -> Any:
    """Return an attribute as a plain Python value (int, float, str, list, Graph, tensor), or `default`."""
    attr = node.attributes.get(name)
    if attr is None or attr.is_ref():
        return default
    if attr.type in (onnx_ir.AttributeType.INTS, onnx_ir.AttributeType.FLOATS, onnx_ir.AttributeType.STRINGS):
        return list(attr.value)
    return attr.value


def set_attribute(node: onnx_ir.Node, name: str, value: Any) -> None:
    """Set an attribute from a plain Python value."""
    node.attributes.add(onnx_ir.convenience.convert_attribute(name, value))


def all_nodes(model: onnx_ir.Model) -> Iterator[onnx_ir.Node]:
    """Yield every node of the main graph and its subgraphs; safe while nodes are removed or added."""
    yield from _nodes(model.graph)


def _nodes(graph: onnx_ir.Graph) -> Iterator[onnx_ir.Node]:
    for node in graph:
        yield node
        for body in subgraphs_of(node):
            yield from _nodes(body)


def all_graphs(model: onnx_ir.Model) -> Iterator[onnx_ir.Graph]:
    """Yield the main graph and all subgraphs."""
    yield from _graphs(model.graph)


def _graphs(graph: onnx_ir.Graph) -> Iterator[onnx_ir.Graph]:
    yield graph
    for node in graph:
        for body in subgraphs_of(node):
            yield from _graphs(body)


def subgraphs_of(node: onnx_ir.Node) -> Sequence[onnx_ir.Graph]:
    """Return the graphs that hang on a node as attributes (If, Loop, Scan)."""
    return [graph for attr in node.attributes.data.values() if attr.type in _GRAPHS for graph in _graphs_in(attr)]


_GRAPHS = (onnx_ir.AttributeType.GRAPH, onnx_ir.AttributeType.GRAPHS)


def _graphs_in(attr: onnx_ir.Attr) -> Sequence[onnx_ir.Graph]:
    return [attr.as_graph()] if attr.type == onnx_ir.AttributeType.GRAPH else attr.as_graphs()


class Names:
    """All names in use in a model, to make new ones. Build it once per pass: that takes a walk over the model."""

    def __init__(self, model: onnx_ir.Model) -> None:
        self._used: set[str] = set()
        for graph in all_graphs(model):
            self._used.update(value.name for value in graph.inputs if value.name)
            self._used.update(graph.initializers)
            for node in graph:
                if node.name:
                    self._used.add(node.name)
                self._used.update(value.name for value in node.outputs if value.name)

    def fresh(self, base: str) -> str:
        """Return `base`, or `base_1`, `base_2` …: whatever is not in use; it is from then on."""
        name, count = base, 0
        while name in self._used:
            count += 1
            name = f"{base}_{count}"
        self._used.add(name)
        return name


def new_initializer(graph: onnx_ir.Graph, array: np.ndarray, name: str) -> onnx_ir.Value:
    """Register `array` as an initializer of `graph` under `name`, which must be free (see `Names.fresh`)."""
    tensor = onnx_ir.tensor(np.asarray(array, order="C"), name=name)
    return register_tensor(graph, tensor, name)


def register_tensor(graph: onnx_ir.Graph, tensor: onnx_ir.TensorProtocol, name: str) -> onnx_ir.Value:
    """Register a tensor, possibly a lazy one, as an initializer of `graph` under `name`, which must be free."""
    value = onnx_ir.Value(
        name=name,
        shape=onnx_ir.Shape(tensor.shape.numpy()),
        type=onnx_ir.TensorType(tensor.dtype),
        const_value=tensor,
    )
    graph.register_initializer(value)
    return value


def set_initializer(value: onnx_ir.Value, array: np.ndarray) -> None:
    """Replace the data of an initializer, for all of its users; see `own_initializer` for one user."""
    tensor = onnx_ir.tensor(np.asarray(array, order="C"), name=value.name)
    value.const_value = tensor
    value.shape = onnx_ir.Shape(tensor.shape.numpy())
    value.type = onnx_ir.TensorType(tensor.dtype)  # a new one: copies of the model share the old


def own_initializer(node: onnx_ir.Node, index: int, names: Names) -> onnx_ir.Value:
    """Return the constant input `index` of `node` as an initializer that nobody else uses, copying the reference only.

    Raises:
        GalenError: the input is not constant.
    """
    value = node.inputs[index]
    tensor = const_tensor(value)
    if value is None or tensor is None or node.graph is None:
        raise GalenError(f"input {index} of {node.op_type} is not constant", where=node.name)
    graph = owner(node)
    if value.is_initializer() and value.graph is graph and len(value.uses()) == 1 and not value.is_graph_output():
        return value
    own = register_tensor(graph, tensor, names.fresh(value.name or f"{node.name}_input{index}"))
    node.replace_input_with(index, own)
    return own


def owner(node: onnx_ir.Node) -> onnx_ir.Graph:
    """Return the graph that holds `node`.

    Raises:
        GalenError: the node is in a function or in no graph at all.
    """
    if not isinstance(node.graph, onnx_ir.Graph):
        raise GalenError("belongs to no graph but a function", where=node.name, hint="apply inline-functions first")
    return node.graph


def replace_uses(old: onnx_ir.Value, new: onnx_ir.Value) -> None:
    """Let everything that reads `old` read `new`, graph outputs included: an output keeps its name, type and shape."""
    if old.is_graph_output():
        name = old.name
        old.name = None
        new.name = name
        if new.shape is None:
            new.shape = old.shape
        if new.type is None:
            new.type = old.type
    onnx_ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)


def drop_unused(values: Iterable[onnx_ir.Value | None]) -> None:
    """Remove those of `values` that are initializers which nothing reads any more."""
    for value in values:
        if value is not None and value.is_initializer() and not (value.uses() or value.is_graph_output()):
            graph = value.graph
            if graph is not None and not value.is_graph_input():
                del graph.initializers[str(value.name)]


def can_stand_for(new: onnx_ir.Value, old: onnx_ir.Value) -> bool:
    """Return whether `replace_uses(old, new)` keeps the model's interface.

    A graph output must be the output of a node, carry its own name and appear once.
    """
    if not old.is_graph_output():
        return True
    same_graph = new.producer() is not None and old.graph is new.graph
    return same_graph and not new.is_graph_input() and not new.is_graph_output()


def bypass(node: onnx_ir.Node, source: onnx_ir.Value) -> bool:
    """Remove a node of one output whose output equals `source`; return False where the model's interface forbids it."""
    output = node.outputs[0]
    if not can_stand_for(source, output):
        return False
    replace_uses(output, source)
    if node.graph is not None:
        node.graph.remove(node, safe=True)
    return True


def replace_node(node: onnx_ir.Node, new: Sequence[onnx_ir.Node], outputs: Sequence[onnx_ir.Value]) -> None:
    """Put the nodes `new` where `node` is; `outputs` take the place, names, types and shapes of its outputs."""
    graph = node.graph
    if graph is None:
        raise ValueError("the node is in no graph")
    graph.insert_after(node, new)
    for old, value in zip(node.outputs, outputs, strict=True):
        name = old.name
        value.type = value.type or old.type
        value.shape = value.shape or old.shape
        onnx_ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
        old.name = None
        value.name = name
    graph.remove(node, safe=True)
