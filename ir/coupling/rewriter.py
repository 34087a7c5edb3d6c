"""What a rule needs to let its node follow a cut: what was kept of its operands, and small edits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from galen.ir import GalenError, Graph, Node, Value, convert_attribute
from galen.ir.coupling.axes import Ids
from galen.ir.coupling.constants import drop_unused_constant
from galen.ir.coupling.cut import Cut
from galen.ir.coupling.operands import dims_of, operand_key
from galen.ir.edit import Names, attribute, const_value, new_initializer, set_attribute


class Rewriter:
    """One node under one cut. Lengths are those before the cut."""

    def __init__(self, cut: Cut, opset: int, names: Names) -> None:
        self.opset = opset
        self._cut = cut
        self._names = names

    def enter(self, node: Node) -> bool:
        """Turn to `node` and return whether the cut touches any of its operands."""
        self.node = node
        keys = [operand_key(node, i) for i in range(len(node.inputs))] + [str(v.name) for v in node.outputs]
        return any(self._cut.touches(key) for key in keys)

    def input(self, index: int, axis: int) -> Ids | None:
        """Return the kept indices of an axis of an input, None when it is whole."""
        dims = dims_of(self.node.inputs[index])
        return None if dims is None else self._cut.kept(operand_key(self.node, index), axis % len(dims))

    def output(self, index: int, axis: int) -> Ids | None:
        """Return the kept indices of an axis of an output, None when it is whole."""
        dims = dims_of(self.node.outputs[index])
        return None if dims is None else self._cut.kept(str(self.node.outputs[index].name), axis % len(dims))

    def input_length(self, index: int, axis: int) -> int:
        """Return the length of an axis of an input before the cut, 0 when it is unknown."""
        return _length(self.node.inputs[index], axis)

    def output_length(self, index: int, axis: int) -> int:
        """Return the length of an axis of an output before the cut, 0 when it is unknown."""
        return _length(self.node.outputs[index], axis)

    def new_output_length(self, index: int, axis: int) -> int:
        """Return the length of an axis of an output after the cut, 0 when it is unknown."""
        kept = self.output(index, axis)
        return self.output_length(index, axis) if kept is None else len(kept)

    def input_rank(self, index: int) -> int:
        """Return the number of axes of an input."""
        return len(dims_of(self.node.inputs[index]) or ())

    def output_rank(self, index: int) -> int:
        """Return the number of axes of an output."""
        return len(dims_of(self.node.outputs[index]) or ())

    def output_lengths(self, index: int = 0) -> dict[int, int]:
        """Return the new lengths of the cut axes of an output."""
        value = self.node.outputs[index]
        axes = range(len(dims_of(value) or ()))
        return {axis: len(kept) for axis in axes if (kept := self.output(index, axis)) is not None}

    def constant(self, index: int) -> np.ndarray | None:
        """Return a constant input as an array, None when it is absent or computed."""
        return const_value(self.node.inputs[index]) if index < len(self.node.inputs) else None

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute as a plain value."""
        return attribute(self.node, name, default)

    def set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute from a plain value."""
        set_attribute(self.node, name, value)

    def set_input(self, index: int, array: np.ndarray) -> None:
        """Give the node a constant of its own as input `index`, appending absent inputs before it."""
        if index >= len(self.node.inputs):
            self.node.resize_inputs(index + 1)
        old = self.node.inputs[index]
        self.node.replace_input_with(index, self.constant_value(array, f"{self.node.outputs[0].name}_input{index}"))
        drop_unused_constant(old)

    def constant_value(self, array: np.ndarray, name: str) -> Value:
        """Return a new constant of the node's graph."""
        return new_initializer(self._graph(), array, self._names.fresh(name))

    def set_lengths(self, index: int, lengths: Mapping[int, int]) -> None:
        """Overwrite entries of a vector of lengths (the shape of a Reshape), constant or computed.

        A computed vector has one entry per axis of the output.
        """
        old = self.constant(index)
        if old is not None:
            new = old.copy()
            new[list(lengths)] = list(lengths.values())
            self.set_input(index, new)
        elif lengths:
            self.node.replace_input_with(
                index, self._overwritten(self.given(index), lengths, self.output_rank(0), before=True)
            )

    def overwrite_output(self, lengths: Mapping[int, int], count: int) -> None:
        """Let all readers of output 0, a vector of `count` lengths, see these entries instead of what is computed."""
        output = self.node.outputs[0]
        uses = list(output.uses())
        replacement = self._overwritten(output, lengths, count)
        for use in uses:
            use.node.replace_input_with(use.idx, replacement)

    def gather_input(self, index: int, axis: int, places: Ids) -> None:
        """Put a Gather of constant positions before an input."""
        self.insert_before(index, self._gather(self.given(index), axis, places))

    def spread_input(self, index: int, axis: int, kept: Ids) -> None:
        """Stretch an input to its length before the cut, with zeros in the places that are gone."""
        length, rank = self.input_length(index, axis), self.input_rank(index)
        self.gather_input(index, axis, np.searchsorted(kept, np.arange(length)).clip(max=len(kept) - 1))
        stays = np.isin(np.arange(length), kept)
        self.zero_input(index, stays.reshape([length if place == axis else 1 for place in range(rank)]))

    def zero_input(self, index: int, stays: NDArray[np.bool_]) -> None:
        """Multiply a computed input by 1 where it stays and by 0 elsewhere."""
        value = self.given(index)
        dtype = value.dtype.numpy() if value.dtype else np.dtype(np.float32)
        ones = self.constant_value(stays.astype(dtype), f"{value.name}_mask")
        self.insert_before(index, Node("", "Mul", [value, ones]))

    def gather_output(self, index: int, axis: int, places: Ids) -> None:
        """Put a Gather of constant positions after an output, whose name goes to what is gathered."""
        output = self.node.outputs[index]
        uses = list(output.uses())
        replacement = self._place(self._gather(output, axis, places), output, before=False)
        for use in uses:
            use.node.replace_input_with(use.idx, replacement)
        name, output.name = output.name, self._names.fresh(f"{output.name}_whole")
        replacement.name = name

    def insert_before(self, index: int, node: Node) -> None:
        """Let input `index` come out of a new node."""
        self.node.replace_input_with(index, self._place(node, self.given(index), before=True))

    def given(self, index: int) -> Value:
        """Return an input that must be there."""
        value = self.node.inputs[index]
        if value is None:
            raise ValueError(f"{self.node.op_type} lacks input {index}")
        return value

    def _gather(self, source: Value, axis: int, places: Ids) -> Node:
        gather = Node("", "Gather", [source, self.constant_value(places, f"{source.name}_places")])
        gather.attributes.add(convert_attribute("axis", axis))
        return gather

    def _overwritten(self, source: Value, lengths: Mapping[int, int], count: int, *, before: bool = False) -> Value:
        """Return `source`, a computed vector of lengths, with some entries replaced by constants."""
        values = np.zeros(count, np.int64)
        values[list(lengths)] = list(lengths.values())
        mask = self.constant_value(np.isin(np.arange(count), list(lengths)), f"{source.name}_is_cut")
        where = Node("", "Where", [mask, self.constant_value(values, f"{source.name}_lengths"), source])
        return self._place(where, source, before=before)

    def _place(self, node: Node, like: Value, *, before: bool) -> Value:
        """Insert a node next to the current one; its output is of the type of `like`."""
        node.name = node.outputs[0].name = self._names.fresh(f"{like.name}_{node.op_type}")
        node.outputs[0].type = like.type
        graph = self._graph()
        (graph.insert_before if before else graph.insert_after)(self.node, node)
        return node.outputs[0]

    def _graph(self) -> Graph:
        if not isinstance(self.node.graph, Graph):
            raise GalenError("the node belongs to a function", where=self.node.name, hint="simplify inlines functions")
        return self.node.graph


def _length(value: Value | None, axis: int) -> int:
    dims = dims_of(value)
    dim = None if dims is None else dims[axis]
    return dim if isinstance(dim, int) else 0
