"""The three things that quantization inserts: pairs around activations, and integers behind weights and biases.

The form is described in `galen.passes.quantize`.
"""

from dataclasses import dataclass

import numpy as np

from galen.ir import Graph, Model, Node, Value
from galen.ir.edit import Names, new_initializer, set_attribute
from galen.passes.calibration import Range
from galen.passes.quantizable import WIDEST, Layer


@dataclass(frozen=True)
class Affine:
    """An integer grid for an activation: `value = (q - zero) * scale`, q from 0 to `high`."""

    scale: np.float32
    zero: int
    bits: int

    @property
    def high(self) -> int:
        """Return the highest integer of an unsigned number of this width."""
        return (1 << self.bits) - 1


def affine(extent: Range, bits: int) -> Affine:
    """Return the grid of `bits` bits over `extent` that holds 0 exactly."""
    scale = np.float32((extent.high - extent.low) / (2**bits - 1))
    if not scale > np.finfo(np.float32).tiny:
        return Affine(np.float32(1), 0, bits)
    return Affine(scale, round(-extent.low / float(scale)), bits)


class Inserter:
    """Writes pairs and integer constants into one graph, under names that say what they belong to."""

    def __init__(self, model: Model) -> None:
        self._graph: Graph = model.graph
        self._names = Names(model)

    def activation(self, value: Value, grid: Affine) -> Value:
        """Quantize `value` for all of its readers and return the dequantized value, which takes its place."""
        name = str(value.name)
        readers = list(value.uses())
        dequantized = self._pair(value, grid, name, "")
        for node, index in readers:
            node.replace_input_with(index, dequantized)
        for position, output in enumerate(self._graph.outputs):
            if output is value:
                self._graph.outputs[position] = dequantized
        if dequantized.is_graph_output():
            value.name = self._names.fresh(f"{name}_float")
            dequantized.name, dequantized.type, dequantized.shape = name, value.type, value.shape
        return dequantized

    def narrow(self, node: Node, grid: Affine, name: str) -> None:
        """Quantize the first input of one node once more, to fewer bits."""
        value = node.inputs[0]
        if value is not None:
            node.replace_input_with(0, self._pair(value, grid, name, str(grid.bits)))

    def _pair(self, value: Value, grid: Affine, name: str, suffix: str) -> Value:
        scale = self._constant(np.float32(grid.scale), f"{name}_scale{suffix}")
        zero = self._constant(np.uint8(grid.zero), f"{name}_zero{suffix}")
        quantize = self._node("QuantizeLinear", [value, scale, zero], f"{name}_q{suffix}")
        nodes = [quantize]
        if grid.bits < WIDEST:
            bounds = [
                self._constant(np.uint8(b), f"{name}_{end}{suffix}") for b, end in ((0, "low"), (grid.high, "high"))
            ]
            nodes.append(self._node("Clip", [quantize.outputs[0], *bounds], f"{name}_c{suffix}"))
        nodes.append(self._node("DequantizeLinear", [nodes[-1].outputs[0], scale, zero], f"{name}_dq{suffix}"))
        producer = value.producer()
        if producer is None:
            self._graph.insert_before(self._graph[0], nodes)
        else:
            self._graph.insert_after(producer, nodes)
        return nodes[-1].outputs[0]

    def weight(self, layer: Layer, integers: np.ndarray, scale: np.ndarray) -> None:
        """Put int8 `integers` behind the weight of `layer`; `scale` is a scalar or one per output channel."""
        value = layer.node.inputs[layer.weight]
        zero = np.zeros(scale.shape, np.int8)
        self._dequantized(layer.node, layer.weight, integers, scale, zero, axis=layer.axis if scale.ndim else None)
        self._drop(value)

    def bias(self, layer: Layer, integers: np.ndarray, scale: np.ndarray) -> None:
        """Put int32 `integers` behind the bias of `layer`."""
        if layer.bias is not None:
            node, index = layer.bias
            value = node.inputs[index]
            axis = integers.shape.index(scale.size) if scale.ndim else None  # `[1, C]` where the bias is an Add's
            self._dequantized(node, index, integers, scale, None, axis=axis)
            self._drop(value)

    def _dequantized(
        self,
        node: Node,
        index: int,
        integers: np.ndarray,
        scale: np.ndarray,
        zero: np.ndarray | None,
        *,
        axis: int | None,
    ) -> None:
        name = str(node.inputs[index].name)  # type: ignore[union-attr]
        operands = [self._constant(integers, f"{name}_q"), self._constant(scale, f"{name}_scale")]
        if zero is not None:
            operands.append(self._constant(zero, f"{name}_zero"))
        dequantize = self._node("DequantizeLinear", operands, f"{name}_dq", axis=axis)
        self._graph.insert_before(node, dequantize)
        node.replace_input_with(index, dequantize.outputs[0])

    def _node(self, op_type: str, inputs: list[Value], output: str, *, axis: int | None = None) -> Node:
        name = self._names.fresh(output)
        made = Value(name=name)
        node = Node("", op_type, inputs, outputs=[made], name=f"{name}/{op_type}")
        if axis is not None:
            set_attribute(node, "axis", axis)
        return node

    def _constant(self, array: np.ndarray | np.generic, name: str) -> Value:
        return new_initializer(self._graph, np.asarray(array), self._names.fresh(name))

    def _drop(self, value: Value | None) -> None:
        if value is not None and not value.uses() and value.is_initializer() and not value.is_graph_output():
            del self._graph.initializers[str(value.name)]
