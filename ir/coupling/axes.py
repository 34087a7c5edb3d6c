"""Ids for the elements of every axis and what ties them together: the state that coupling rules write to.

Every axis of known length above 1 that a rule asks for owns a contiguous range of integers, one per index. A rule ties
arrays of ids (these go or stay together) and freezes ids (these always stay). An axis that a rule of a node does not
ask for is frozen when the node is left, so that forgetting an axis can cost pruning but never correctness.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from galen.ir import GalenError, Node, Value
from galen.ir.coupling.operands import Dims, dims_of, operand_key
from galen.ir.edit import attribute, const_value

Ids: TypeAlias = NDArray[np.int64]
NONE: Ids = np.empty(0, np.int64)

_BLOCK = 1 << 16
"""Ids are made in blocks of this many: an axis is a slice, which costs a third of an array of its own."""


class Slot(NamedTuple):
    """An axis of a value. `ids` is the one array of all its ids, in order: ties of whole axes are known by it."""

    key: str
    axis: int
    size: int
    start: int
    ids: Ids


@dataclass(frozen=True)
class Touch:
    """One axis of one input of a node. `zero`: the input that stands for zero in it, None: 0 does."""

    node: Node
    index: int
    axis: int
    zero: int | None = None


@dataclass(frozen=True)
class Layer:
    """A node with a weight: its operand index and the weight's output and input axis."""

    node: Node
    weight: int
    out_axis: int
    in_axis: int


@dataclass(frozen=True)
class Choice:
    """A flat axis that is the product of several factors: it can be cut along one of them only.

    Attributes:
        flat: ids of the flat axis, row-major over `sizes`.
        factors: ids per factor; `NONE` for a factor of length 1.
    """

    flat: Ids
    factors: tuple[Ids, ...]
    sizes: tuple[int, ...]
    reason: str

    def along(self, factor: int) -> Ids:
        """Return the flat ids as a matrix `[factor length, rest]`."""
        grid = self.flat.reshape(self.sizes)
        return np.moveaxis(grid, factor, 0).reshape(self.sizes[factor], -1)


@dataclass(slots=True)
class _Operand:
    """A value as the current node sees it: the ids of its axes so far, under the name it is tracked by."""

    key: str
    value: Value | None
    dims: Dims | None
    ids: list[Ids | None]


class Axes:
    """What the rules of all nodes said. Rules call the methods below `enter`; `Coupling` reads the attributes."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.slots: dict[tuple[str, int], Slot] = {}
        self.size = 0
        self.ties: list[tuple[Ids, Ids]] = []
        self.frozen: list[tuple[Ids, str]] = []
        self.choices: list[Choice] = []
        self.starts: list[tuple[Node, Ids]] = []
        self.layers: list[Layer] = []
        self.sums: list[Touch] = []
        self.reductions: list[Touch] = []
        self.heads: list[Ids] = []
        self._block = NONE
        self._operands: dict[str, _Operand] = {}
        self._asked: set[int] = set()

    def enter(self, node: Node) -> None:
        """Begin a node: from here on axes are those of its operands."""
        self.node = node
        self._inputs = [self._operand(operand_key(node, i), value) for i, value in enumerate(node.inputs)]
        self._outputs = [self._operand(str(value.name), value) for value in node.outputs]
        self._asked.clear()

    def leave(self) -> None:
        """End a node: freeze every axis of its operands that its rule did not ask for."""
        for operand in (*self._inputs, *self._outputs):
            for axis, known in enumerate(operand.ids):
                ids = self._axis(operand, axis) if known is None else known
                if id(ids) not in self._asked and len(ids):
                    name = operand.key.partition("@")[0]
                    self.frozen.append((ids, f"{self.label} keeps axis {axis} of {name} whole"))

    @property
    def label(self) -> str:
        """The node as messages name it."""
        return f"{self.node.op_type} {self.node.name or self.node.outputs[0].name}"

    def of(self, value: Value, axis: int) -> Ids:
        """Return the ids of an axis of a value that is not an operand (graph inputs and outputs, loop bodies)."""
        dims = dims_of(value)
        return NONE if dims is None else self._ids(str(value.name), axis, dims[axis])

    def input(self, index: int, axis: int) -> Ids:
        """Return the ids of an axis of an input, `NONE` when its length is 1 or unknown or the input is absent."""
        return self._ask(self._inputs, index, axis)

    def output(self, index: int, axis: int) -> Ids:
        """Return the ids of an axis of an output."""
        return self._ask(self._outputs, index, axis)

    def input_dims(self, index: int) -> Dims | None:
        """Return the lengths of the axes of an input, None when it is absent or its rank unknown."""
        return self._inputs[index].dims if index < len(self._inputs) else None

    def output_dims(self, index: int) -> Dims | None:
        """Return the lengths of the axes of an output."""
        return self._outputs[index].dims if index < len(self._outputs) else None

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the node as a plain value."""
        return attribute(self.node, name, default)

    def along(self, dims: Dims, default: int | None = None) -> int:
        """Return the axis of a value with `dims` that the attribute `axis` names, counted from the front.

        Raises:
            GalenError: there is no such axis.
        """
        axis = int(self.attribute("axis", default))
        if not -len(dims) <= axis < len(dims):
            raise GalenError(f"there is no axis {axis} of {len(dims)}", where=self.label)
        return axis % len(dims)

    def constant(self, index: int) -> np.ndarray | None:
        """Return a constant input as an array, None when it is absent or computed."""
        return const_value(self.node.inputs[index]) if index < len(self.node.inputs) else None

    def tie(self, a: Ids, b: Ids) -> None:
        """State that `a[i]` and `b[i]` go together. Arrays of different lengths cannot be followed: both freeze."""
        if len(a) == len(b):
            if len(a):
                self.ties.append((a, b))
            return
        for ids in (a, b):
            self.freeze(ids, f"{self.label} meets axes of lengths that differ or are unknown")

    def freeze(self, ids: Ids, reason: str) -> None:
        """State that `ids` always stay."""
        if len(ids):
            self.frozen.append((ids, reason))

    def start(self, ids: Ids) -> None:
        """State that the node computes these channels from a weight: only channels that start somewhere are cut."""
        if len(ids):
            self.starts.append((self.node, ids))

    def layer(self, weight: int, out_axis: int, in_axis: int) -> None:
        """State that the node is a layer whose weight is operand `weight`."""
        self.layers.append(Layer(self.node, weight, out_axis, in_axis))

    def sum_over(self, index: int, axis: int, zero: int | None = None) -> Ids:
        """Ask for an axis that the node sums products over: a cut channel is one that contributes zero.

        `zero` is the input that holds what stands for zero (a zero point), None: 0 does.
        """
        self.sums.append(self._touch(index, axis, zero))
        return self.input(index, axis)

    def reduce(self, index: int, axis: int) -> Ids:
        """Ask for an axis that the node takes a statistic over: it is then one of the channels that stay."""
        self.reductions.append(self._touch(index, axis))
        return self.input(index, axis)

    def _touch(self, index: int, axis: int, zero: int | None = None) -> Touch:
        return Touch(self.node, index, axis % max(len(self.input_dims(index) or ()), 1), zero)

    def choose(self, flat: Ids, factors: Sequence[Ids], sizes: Sequence[int]) -> None:
        """State that `flat` is a row-major product of factors: it follows the one along which it can be cut."""
        reason = f"{self.label} mixes this axis with another"
        self.choices.append(Choice(flat, tuple(factors), tuple(sizes), reason))

    def inner(self, length: int) -> Ids:
        """Return ids for a factor that is no axis of any value."""
        key = f"factor {len(self.slots)} of {self.label}"
        return self._ids(key, 0, length)

    def _operand(self, key: str, value: Value | None) -> _Operand:
        known = self._operands.get(key)
        if known is None or known.value is not value:
            dims = dims_of(value)
            known = self._operands[key] = _Operand(key, value, dims, [None] * len(dims or ()))
        return known

    def _ask(self, operands: list[_Operand], index: int, axis: int) -> Ids:
        if index >= len(operands) or operands[index].dims is None:
            return NONE
        ids = self._axis(operands[index], axis)
        self._asked.add(id(ids))
        return ids

    def _axis(self, operand: _Operand, axis: int) -> Ids:
        axis %= len(operand.ids)
        ids = operand.ids[axis]
        if ids is None:
            ids = operand.ids[axis] = self._ids(operand.key, axis, operand.dims[axis] if operand.dims else None)
        return ids

    def _ids(self, key: str, axis: int, dim: int | str | None) -> Ids:
        if not isinstance(dim, int) or dim < 2:
            return NONE
        slot = self.slots.get((key, axis))
        if slot is None:
            slot = self.slots[key, axis] = Slot(key, axis, dim, self.size, self._fresh(dim))
            self.size += dim
        return slot.ids if slot.size == dim else NONE

    def _fresh(self, count: int) -> Ids:
        if count > len(self._block):
            self._block = np.arange(self.size, self.size + max(count, _BLOCK))
            self._block.setflags(write=False)
        ids, self._block = self._block[:count], self._block[count:]
        return ids
