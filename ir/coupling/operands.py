"""Operands as coupling sees them: the name that an operand's axes are tracked by, and their lengths."""

from typing import TypeAlias

from galen.ir import Node, SymbolicDim, Value
from galen.ir.edit import const_tensor

Dims: TypeAlias = tuple[int | str | None, ...]


def dims_of(value: Value | None) -> Dims | None:
    """Return the lengths of a value's axes (a symbol or None where it is no number); None when the rank is unknown."""
    if value is None:
        return None
    shape = value.shape if value.shape is not None else getattr(const_tensor(value), "shape", None)
    return None if shape is None else tuple([dim if isinstance(dim, int) else _symbol(dim) for dim in shape.dims])


def _symbol(dim: SymbolicDim) -> str | None:
    """Return a dimension's name, also one that shape inference made up: within a model it gives it to equal lengths."""
    return dim.value if dim.value is not None and dim.value.isidentifier() else None


def operand_key(node: Node, index: int) -> str:
    """Return the name under which the axes of an input are tracked.

    Exporters let several nodes share one bias that happens to be equal. Such a vector counts once per use and is
    un-shared when it is cut; a shared matrix (a tied embedding) counts once.
    """
    value = node.inputs[index]
    if value is None:
        return ""
    name, tensor = str(value.name), const_tensor(value)
    if tensor is None or len(value.uses()) < 2 or value.is_graph_output():
        return name
    dims = tensor.shape.numpy()
    return f"{name}@{node.outputs[0].name}:{index}" if tensor.size == max(dims, default=1) else name
