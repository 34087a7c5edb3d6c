"""Compute at compile time what depends on constants only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from galen.ir import Model, Node, Value
from galen.ir.edit import Names, all_nodes, const_tensor, const_value, drop_unused, new_initializer, owner, subgraphs_of
from galen.ir.execute import reference
from galen.ir.shapes import static_shape
from galen.passes.base import Pass

KEPT = frozenset(
    {
        "Constant",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "QuantizeLinear",
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)
"""Never folded: what draws at random, and quantisation, whose narrow weights are the point of it."""

FOLD_LIMIT = 65536

CREATORS = frozenset({"ConstantOfShape", "Expand", "OneHot", "Range", "Tile"})
"""Operators whose result can be of any size, whatever the size of their operands."""


@dataclass(frozen=True)
class FoldConstants(Pass, name="fold-constants"):
    """Replace nodes whose inputs are all constant by their value.

    Left alone: random operators, QuantizeLinear and DequantizeLinear, operators with subgraphs, custom operators, and
    results that are larger than the operands (Expand, Tile, ConstantOfShape) and of more than `limit` elements.

    Attributes:
        limit: how many elements a result may have that is larger than its operands.
    """

    limit: int = FOLD_LIMIT

    tolerance = 1e-5

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was folded."""
        names = Names(model)
        changed = False
        for node in all_nodes(model):
            if depends_on_constants(node, self.limit) and (values := _evaluate(node, model.opset_imports)) is not None:
                replace_by_constants(node, values, names)
                changed = True
        return changed


def depends_on_constants(node: Node, limit: int) -> bool:
    """Return whether a node can be computed at compile time; see `FoldConstants` for what is left alone."""
    if node.domain or node.op_type in KEPT or subgraphs_of(node):
        return False
    if any(output.is_graph_output() for output in node.outputs):
        return False
    operands = [value for value in node.inputs if value is not None]
    if any(const_tensor(value) is None for value in operands):
        return False
    return bool(operands) and _small(node, limit)


def _small(node: Node, limit: int) -> bool:
    """Whether the results are known to be small, or no larger than the operands."""
    sizes = [tensor.size for value in node.inputs if (tensor := const_tensor(value)) is not None]
    for output in node.outputs:
        shape = static_shape(output)
        if shape is None:
            if max(sizes) > limit or node.op_type in CREATORS:
                return False
        elif np.prod(shape, dtype=np.int64) > max(limit, *sizes):
            return False
    return True


def _evaluate(node: Node, opsets: Mapping[str, int]) -> list[np.ndarray] | None:
    """Compute the outputs of a node of constants; None where that has no answer or not the declared one."""
    operands = [const_value(value) for value in node.inputs]
    results = reference(node, operands, opsets)
    if results is None or not all(map(_as_declared, node.outputs, results)):
        return None
    return results


def _as_declared(output: Value, result: np.ndarray) -> bool:
    shape = static_shape(output)
    return shape in (None, result.shape) and (output.dtype is None or output.dtype.numpy() == result.dtype)


def replace_by_constants(node: Node, values: Sequence[np.ndarray], names: Names) -> None:
    """Put initializers in the place of a node's outputs; they take over the names."""
    for output, array in zip(node.outputs, values, strict=True):
        name = output.name or names.fresh(f"{node.op_type}_constant")
        output.name = None
        output.replace_all_uses_with(new_initializer(owner(node), array, name))
    operands = node.inputs
    owner(node).remove(node, safe=True)
    drop_unused(operands)
