"""The plain form of a model: what `simplify,fold-batchnorm` makes of it, and whether it is that already."""

from collections.abc import Iterator

from galen.ir import Model, Node, Value
from galen.ir.clone import clone
from galen.ir.edit import subgraphs_of
from galen.ir.shapes import infer_missing
from galen.passes.base import expendable
from galen.passes.eliminate_identities import passed_on
from galen.passes.fold_batchnorm import FoldBatchNorm, foldable
from galen.passes.fold_constants import FOLD_LIMIT, depends_on_constants
from galen.passes.fold_shapes import computes_shape
from galen.passes.simplify import Simplify

_DECIDED = frozenset({"Constant", "If", "Loop", "Where"})
"""Operators that are lifted or decided, depending on what they read."""


def plain(model: Model) -> Model:
    """Return the plain form of `model`: `model` itself where it is that already, else a copy.

    `model` is not changed but for shapes that were not known yet.
    """
    infer_missing(model)  # here rather than on a copy: whoever asks for the plain form needs the shapes as well
    if is_plain(model):
        return model
    copy = clone(model)
    with expendable(copy):
        Simplify().apply(copy)
        FoldBatchNorm().apply(copy)
    return copy


def is_plain(model: Model) -> bool:
    """Return whether `simplify,fold-batchnorm` is certain to change nothing; shapes must be inferred.

    One look at every node instead of a copy and a dozen walks over it: most models that are rewritten are plain.
    False promises nothing: some that stay as they are look as if they could be simplified.
    """
    graph = model.graph
    domains = {node.domain for node in graph}
    if model.functions or not domains >= set(model.opset_imports) - {""}:
        return False
    if any(value.is_graph_input() or not _is_read(value) for value in graph.initializers.values()):
        return False
    if any(map(_may_go, graph)):
        return False
    return _all_different(value.name for value in _values(model)) and _all_different(node.name for node in graph)


def _may_go(node: Node) -> bool:
    """Whether a node, or something of it, could be simplified away."""
    if not all(map(_is_read, node.outputs)) or (node.inputs and node.inputs[-1] is None) or subgraphs_of(node):
        return True
    if node.domain:
        return False
    if node.op_type == "BatchNormalization":
        return "training_mode" in node.attributes or foldable(node.inputs[0]) is not None
    computed = depends_on_constants(node, FOLD_LIMIT) or computes_shape(node)
    return computed or node.op_type in _DECIDED or passed_on(node) is not None


def _is_read(value: Value) -> bool:
    return bool(value.uses()) or value.is_graph_output()


def _values(model: Model) -> Iterator[Value]:
    yield from model.graph.inputs
    yield from model.graph.initializers.values()
    for node in model.graph:
        yield from node.outputs


def _all_different(names: Iterator[str | None]) -> bool:
    """Whether nothing goes without a name or shares it."""
    listed = list(names)
    return all(listed) and len(set(listed)) == len(listed)
