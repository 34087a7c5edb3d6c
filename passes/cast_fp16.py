"""Store and compute in half precision."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from galen.ir import DataType, Graph, Model, Node, TensorProtocol, TensorType, Value, convert_attribute, tensor
from galen.ir.edit import Names, attribute, const_value, drop_unused, new_initializer, set_attribute, subgraphs_of
from galen.ir.schemas import allows, schema_of
from galen.ir.shapes import infer
from galen.passes.base import Pass

LARGEST = 65504.0
"""The largest finite fp16 number; larger weights are clipped to it."""

SINGLE_ONLY = frozenset(
    {
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "GRU",
        "GridSample",
        "LSTM",
        "Loop",
        "If",
        "NonMaxSuppression",
        "QuantizeLinear",
        "RNN",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Range",
        "Resize",
        "Scan",
        "Upsample",
    }
)
"""Operators that keep computing in fp32: what they take need not have their precision, or runtimes have no code."""


@dataclass(frozen=True)
class CastFp16(Pass, name="cast-fp16"):
    """Turn fp32 weights and activations into fp16. Inputs and outputs of the model stay fp32.

    Casts surround what stays in fp32: operators that have no fp16 form, and `exclude`.

    Attributes:
        exclude: names or patterns (`head*`) of nodes that stay in fp32.
    """

    exclude: tuple[str, ...] = ()

    def apply(self, model: Model, /) -> bool:
        """Return whether there was anything in fp32."""
        infer(model)
        caster = _Caster(model.graph, Names(model))
        version = model.opset_imports.get("", 1)
        nodes = [node for node in model.graph if self._may_change(node) and _has_half(node, version)]
        for node in nodes:
            caster.halve(node)
        caster.restore_readers(frozenset(nodes))
        return caster.changed

    def _may_change(self, node: Node) -> bool:
        return not (node.op_type in SINGLE_ONLY or any(fnmatchcase(node.name or "", name) for name in self.exclude))


def _has_half(node: Node, version: int) -> bool:
    """Return whether a standard operator takes and returns fp16 wherever this node has fp32."""
    schema = None if node.domain else schema_of(node, version)
    if schema is None or any(True for _ in subgraphs_of(node)):
        return False
    taken = [(schema.inputs, index, value) for index, value in enumerate(node.inputs)]
    given = [(schema.outputs, index, value) for index, value in enumerate(node.outputs)]
    for parameters, index, value in taken + given:
        if value is not None and not isinstance(value.type, TensorType | None):
            return False
        if value is not None and _is_single(value) and not allows(parameters, index, DataType.FLOAT16):
            return False
    return True


def _is_single(value: Value) -> bool:
    return isinstance(value.type, TensorType) and value.dtype == DataType.FLOAT


class _Caster:
    """Turns nodes of one graph to fp16 in order, remembering what has already been turned."""

    def __init__(self, graph: Graph, names: Names) -> None:
        self._graph, self._names = graph, names
        self._halves: dict[Value, Value] = {}
        self._retyped: list[Value] = []
        self.changed = False

    def halve(self, node: Node) -> None:
        """Let `node` read fp16 values, and compute them."""
        for index, value in enumerate(node.inputs):
            if value is not None and _is_single(value):
                if value not in self._halves:
                    self._halves[value] = self._half_of(value)
                node.replace_input_with(index, self._halves[value])
                drop_unused([value])
                self.changed = True
        _halve_attributes(node)
        for output in node.outputs:
            if _is_single(output):
                output.type = TensorType(DataType.FLOAT16)
                self._retyped.append(output)
                self.changed = True

    def _half_of(self, value: Value) -> Value:
        """Return a constant as fp16, anything else behind a Cast."""
        array = const_value(value)
        if array is not None:
            return new_initializer(self._graph, _clipped(array), self._names.fresh(f"{value.name}_fp16"))
        return self._cast(value, f"{value.name}_fp16", DataType.FLOAT16)

    def restore_readers(self, halved: frozenset[Node]) -> None:
        """Give fp32 back to the nodes that stayed in it, and to the graph's outputs."""
        for value in self._retyped:
            readers = [use for use in value.uses() if use.node not in halved]
            if not readers and not value.is_graph_output():
                continue
            name = value.name
            if value.is_graph_output():
                value.name = self._names.fresh(f"{name}_fp16")
            single = self._cast(value, f"{name}_fp32", DataType.FLOAT)
            for use in readers:
                use.node.replace_input_with(use.idx, single)
            if value.is_graph_output():
                single.name = name
                for index, output in enumerate(self._graph.outputs):
                    if output is value:
                        self._graph.outputs[index] = single

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


def _halve_attributes(node: Node) -> None:
    """Turn what an operator's attributes say of its output's type."""
    for key in ("to", "dtype"):
        if attribute(node, key) == DataType.FLOAT:
            set_attribute(node, key, int(DataType.FLOAT16))
    value = attribute(node, "value")
    if isinstance(value, TensorProtocol) and value.dtype == DataType.FLOAT:
        set_attribute(node, "value", tensor(_clipped(value.numpy())))
    for key in ("value_float", "value_floats"):
        if key in node.attributes:
            number = np.asarray(attribute(node, key), np.float32)
            del node.attributes[key]
            set_attribute(node, "value", tensor(_clipped(number)))


def _clipped(array: np.ndarray) -> np.ndarray:
    """Return fp16 numbers; finite ones stay finite."""
    finite = np.where(np.isfinite(array), np.clip(array, -LARGEST, LARGEST), array)
    return finite.astype(np.float16)
