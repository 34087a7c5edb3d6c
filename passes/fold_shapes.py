"""Compute at compile time what depends on shapes only, even where some dimensions are dynamic.

Shape arithmetic (Shape, Gather, Concat, Reshape …) is followed element by element: a number where the dimension is
known, else the place that it comes from. What turns out to be all numbers becomes a constant, and a Reshape whose
target is known up to dimensions of its own input gets a constant target with 0 and -1 in it.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from galen.ir import DataType, Model, Node, Value
from galen.ir.edit import Names, all_nodes, attribute, const_tensor, new_initializer, owner
from galen.ir.shapes import symbol
from galen.passes.base import Pass
from galen.passes.fold_constants import replace_by_constants

_ELEMENTS = 64


class Dim(NamedTuple):
    """The size of one axis of a tensor, which is not known before the model runs."""

    value: Value
    axis: int


Element = int | str | Dim | None
"""A number, a dimension by its symbol or by its place, or a number that is not known."""

Elements = np.ndarray
"""An object array of `Element`: a small integer tensor."""

Known = dict[Value, Elements]


@dataclass(frozen=True)
class FoldShapes(Pass, name="fold-shapes"):
    """Replace arithmetic on shapes by constants where the shapes are known; dynamic dimensions stay dynamic."""

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was folded. Uses the shapes that are written in the model (`infer-shapes`)."""
        names, known, changed = Names(model), Known(), False
        for node in all_nodes(model):
            if node.domain:
                continue
            if node.op_type == "Reshape":
                changed |= _fix_target(node, known, names)
            if (result := _propagate(node, known)) is not None:
                known[node.outputs[0]] = result
                changed |= _fold(node, result, names)
        return changed


def computes_shape(node: Node) -> bool:
    """Return whether a node begins arithmetic on shapes: it asks for one, or its operands are small integers."""
    return not node.domain and _propagate(node, {}) is not None


def _propagate(node: Node, known: Known) -> Elements | None:
    rule = _RULES.get(node.op_type)
    if rule is None or len(node.outputs) != 1:
        return None
    operands = [None if value is None else _elements(value, known) for value in node.inputs]
    try:
        result = rule(node, operands)
    except (IndexError, ValueError, TypeError, ZeroDivisionError):  # an operand is missing or not what it should be
        return None
    return None if result is None or result.size > _ELEMENTS else result


def _elements(value: Value, known: Known) -> Elements | None:
    if value in known:
        return known[value]
    tensor = const_tensor(value)
    if tensor is None or tensor.size > _ELEMENTS or tensor.dtype not in (DataType.INT64, DataType.INT32):
        return None
    return np.array(tensor.numpy().tolist(), dtype=object).reshape(tensor.shape.numpy())


def _fold(node: Node, result: Elements, names: Names) -> bool:
    output = node.outputs[0]
    if output.is_graph_output() or not all(isinstance(item, int) for item in result.flat):
        return False
    dtype = np.int32 if output.dtype == DataType.INT32 else np.int64
    replace_by_constants(node, [result.astype(dtype)], names)
    return True


def _fix_target(node: Node, known: Known, names: Names) -> bool:
    """Give a Reshape a constant target if each dynamic element is the input's own axis (0) or the only other (-1)."""
    data, target = node.inputs[0], node.inputs[1]
    if target is None or const_tensor(target) is not None or attribute(node, "allowzero", 0) or target not in known:
        return False
    source = _dims(data)
    numbers = []
    for axis, item in enumerate(known[target]):
        own = source is not None and axis < len(source) and source[axis] == item
        if item == 0:
            return False
        numbers.append(item if isinstance(item, int) else 0 if own and item is not None else -1)
    if numbers.count(-1) > 1:
        return False
    constant = new_initializer(owner(node), np.array(numbers, np.int64), names.fresh(f"{target.name}_folded"))
    node.replace_input_with(1, constant)
    return True


def _dims(value: Value | None) -> Elements | None:
    if value is None or value.shape is None:
        return None
    dims = [dim if isinstance(dim, int) else symbol(dim) or Dim(value, axis) for axis, dim in enumerate(value.shape)]
    return _array(dims)


def _array(items: Sequence[Element]) -> Elements:
    array = np.empty(len(items), dtype=object)  # filled one by one: numpy would unpack a Dim, which is a tuple
    for index, item in enumerate(items):
        array[index] = item
    return array


Operands = Sequence[Elements | None]
Rule = Callable[[Node, Operands], Elements | None]


def _shape(node: Node, _: Operands) -> Elements | None:
    dims = _dims(node.inputs[0])
    return None if dims is None else dims[attribute(node, "start", 0) : attribute(node, "end", None)]


def _same(_: Node, operands: Operands) -> Elements | None:
    return operands[0]


def _cast(node: Node, operands: Operands) -> Elements | None:
    return operands[0] if attribute(node, "to") in (DataType.INT64, DataType.INT32) else None


def _gather(node: Node, operands: Operands) -> Elements | None:
    data, indices = operands
    if data is None or indices is None:
        return None
    taken: Elements = np.take(data, indices.astype(np.int64), axis=attribute(node, "axis", 0))
    return _as_array(taken)


def _as_array(item: Any) -> Elements:
    """Wrap what numpy returns for rank 0: the bare element."""
    if isinstance(item, np.ndarray):
        return item
    array = np.empty((), dtype=object)
    array[()] = item
    return array


def _slice(node: Node, operands: Operands) -> Elements | None:
    data = operands[0]
    if "starts" in node.attributes:  # before opset 10
        parts = [attribute(node, key) for key in ("starts", "ends", "axes")] + [None]
    else:
        parts = [None if p is None else p.tolist() for p in (*operands[1:], None, None)][:4]
    starts, ends, axes, steps = parts
    if data is None or starts is None or ends is None:
        return None
    index = [slice(None)] * data.ndim
    for axis, start, end, step in zip(
        axes or range(len(starts)), starts, ends, steps or [1] * len(starts), strict=True
    ):
        index[axis] = slice(start, end, step)
    return data[tuple(index)]


def _concat(node: Node, operands: Operands) -> Elements | None:
    if any(operand is None for operand in operands):
        return None
    return np.concatenate([operand for operand in operands if operand is not None], axis=attribute(node, "axis", 0))


def _axes(node: Node, operands: Operands) -> tuple[int, ...] | None:
    if len(operands) > 1 and operands[1] is not None:
        return tuple(operands[1].tolist())
    axes = attribute(node, "axes")
    return None if axes is None else tuple(axes)


def _unsqueeze(node: Node, operands: Operands) -> Elements | None:
    axes = _axes(node, operands)
    return None if operands[0] is None or axes is None else np.expand_dims(operands[0], axes)


def _squeeze(node: Node, operands: Operands) -> Elements | None:
    return None if operands[0] is None else _as_array(np.squeeze(operands[0], _axes(node, operands)))


def _reshape(_: Node, operands: Operands) -> Elements | None:
    data, target = operands
    return None if data is None or target is None else data.reshape(target.tolist())


def _arithmetic(operation: Callable[[int, int], int], neutral: int) -> Rule:
    """Return the rule of an element-wise operator; a dynamic element survives only the neutral second operand."""

    def element(a: Element, b: Element) -> Element:
        if isinstance(a, int) and isinstance(b, int):
            return operation(a, b)
        return a if b == neutral else None

    def rule(_: Node, operands: Operands) -> Elements | None:
        a, b = operands
        return None if a is None or b is None else _as_array(np.frompyfunc(element, 2, 1)(a, b))

    return rule


def _divide(a: int, b: int) -> int:
    """ONNX divides integers like C: towards zero."""
    return a // b if (a < 0) == (b < 0) else -(-a // b)


_RULES: Mapping[str, Rule] = {
    "Add": _arithmetic(operator.add, 0),
    "Cast": _cast,
    "Concat": _concat,
    "Div": _arithmetic(_divide, 1),
    "Gather": _gather,
    "Identity": _same,
    "Mul": _arithmetic(operator.mul, 1),
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _arithmetic(operator.sub, 0),
    "Unsqueeze": _unsqueeze,
}
