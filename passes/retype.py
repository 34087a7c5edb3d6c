"""Letting some nodes of a graph compute in another floating-point type, between Casts."""

from collections.abc import Sequence

import numpy as np

from galen.ir import DataType, Graph, Model, Node, TensorProtocol, TensorType, Value, convert_attribute, tensor
from galen.ir.edit import Names, attribute, bypass, const_value, drop_unused, new_initializer, set_attribute

LARGEST = 65504.0
"""The largest finite fp16 number; larger weights are clipped to it."""

_SUFFIX = {DataType.FLOAT: "fp32", DataType.FLOAT16: "fp16"}


def retype(model: Model, nodes: Sequence[Node], to: DataType) -> bool:
    """Let `nodes`, in the order of the graph, have fp16 for fp32 or fp32 for fp16.

    What they share with other nodes passes a Cast, once in each direction; two that would undo each other are left out.

    Args:
        model: with its types inferred.
        nodes: of the main graph; their operators must allow `to`.
        to: FLOAT or FLOAT16.

    Returns:
        Whether anything had the other type.
    """
    turning = _Turning(model.graph, Names(model), to)
    for node in nodes:
        turning.turn(node)
    turning.restore_readers(frozenset(nodes))
    return turning.changed


class _Turning:
    """Turns the nodes of one graph, remembering what has already been turned."""

    def __init__(self, graph: Graph, names: Names, to: DataType) -> None:
        self._graph, self._names, self._to = graph, names, to
        self._from = DataType.FLOAT if to == DataType.FLOAT16 else DataType.FLOAT16
        self._turned: dict[Value, Value] = {}
        self._retyped: list[Value] = []
        self.changed = False

    def turn(self, node: Node) -> None:
        """Let `node` read and compute values of the other type."""
        for index, value in enumerate(node.inputs):
            if value is not None and self._is_old(value):
                if value not in self._turned:
                    self._turned[value] = self._other(value)
                node.replace_input_with(index, self._turned[value])
                drop_unused([value])
                self.changed = True
        self._turn_attributes(node)
        for output in node.outputs:
            if self._is_old(output):
                output.type = TensorType(self._to)
                self._retyped.append(output)
                self.changed = True

    def _is_old(self, value: Value) -> bool:
        return has_type(value, self._from)

    def _other(self, value: Value) -> Value:
        """Return a constant in the other type, what comes from a Cast before that, anything else behind one."""
        array = const_value(value)
        if array is not None:
            name = self._names.fresh(f"{value.name}_{_SUFFIX[self._to]}")
            return new_initializer(self._graph, self._converted(array), name)
        origin = _behind_cast(value)
        if origin is not None and has_type(origin, self._to):
            return origin
        return self._cast(value, f"{value.name}_{_SUFFIX[self._to]}", self._to)

    def restore_readers(self, turned: frozenset[Node]) -> None:
        """Give the old type back to the nodes that keep it, and to the graph's outputs."""
        for value in self._retyped:
            is_output = value.is_graph_output()
            self._skip_casts(value, turned)
            readers = [use for use in value.uses() if use.node not in turned]
            if not readers and not is_output:
                continue
            name = value.name
            if is_output:
                value.name = self._names.fresh(f"{name}_{_SUFFIX[self._to]}")
            old = self._cast(value, f"{name}_{_SUFFIX[self._from]}", self._from)
            for use in readers:
                use.node.replace_input_with(use.idx, old)
            if is_output:
                old.name = name
                for index, output in enumerate(self._graph.outputs):
                    if output is value:
                        self._graph.outputs[index] = old

    def _skip_casts(self, value: Value, turned: frozenset[Node]) -> None:
        """Let the readers of a Cast of `value` to the type that it now has read it itself."""
        for use in list(value.uses()):
            if use.node.op_type == "Cast" and use.node not in turned and has_type(use.node.outputs[0], self._to):
                bypass(use.node, value)

    def _cast(self, value: Value, name: str, to: DataType) -> Value:
        result = Value(name=self._names.fresh(name), shape=value.shape, type=TensorType(to))
        cast = Node(
            "", "Cast", [value], [convert_attribute("to", to)], outputs=[result], name=self._names.fresh("Cast")
        )
        producer = value.producer()
        if producer is not None:
            self._graph.insert_after(producer, cast)
        else:
            self._graph.insert_before(self._graph[0], cast)
        return result

    def _turn_attributes(self, node: Node) -> None:
        """Turn what an operator's attributes say of its output's type."""
        for key in ("to", "dtype"):
            if attribute(node, key) == self._from:
                set_attribute(node, key, int(self._to))
        value = attribute(node, "value")
        if isinstance(value, TensorProtocol) and value.dtype == self._from:
            set_attribute(node, "value", tensor(self._converted(value.numpy())))
        for key in ("value_float", "value_floats"):
            if key in node.attributes and self._to == DataType.FLOAT16:
                number = np.asarray(attribute(node, key), np.float32)
                del node.attributes[key]
                set_attribute(node, "value", tensor(self._converted(number)))

    def _converted(self, array: np.ndarray) -> np.ndarray:
        """Return numbers of the other type; finite ones stay finite."""
        if self._to == DataType.FLOAT16:
            array = np.where(np.isfinite(array), np.clip(array, -LARGEST, LARGEST), array)
        return array.astype(self._to.numpy())


def has_type(value: Value, dtype: DataType) -> bool:
    """Return whether a value is a tensor of that type, as far as is known."""
    return isinstance(value.type, TensorType) and value.dtype == dtype


def _behind_cast(value: Value) -> Value | None:
    """Return what a Cast makes `value` of, None when no Cast does."""
    producer = value.producer()
    return producer.inputs[0] if producer is not None and producer.op_type == "Cast" else None
