"""A model cut where it rounds: each piece is held against onnxruntime on the integers that the binary itself computed.

A number that lies between two integers becomes either, by the order in which a sum was rounded, and everything behind
it another one. Outputs alone cannot tell that from a fault; pieces can: given the same integers, onnxruntime must find
every next integer within rounding, and every output.

    a -> Conv -> QuantizeLinear -> q -> DequantizeLinear -> Conv -> y
    expose:  a -> q, y        what the binary says
    resume:  a, q -> c, y     what onnxruntime makes of the binary's q; `c`, the first Conv's output, must round to q
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from galen.backends.qdq import Rounded, stored
from galen.ir import Model, Node, Value
from galen.ir.clone import clone
from galen.ir.edit import Names, const_value, new_initializer
from galen.ir.execute import run

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Boundary:
    """A computed value that is stored in integers.

    Attributes:
        node: the QuantizeLinear.
        rounding: what it and a Clip behind it store.
    """

    node: Node
    rounding: Rounded

    @property
    def source(self) -> str:
        """Name of the float value."""
        return _name(self.node.inputs[0])

    @property
    def name(self) -> str:
        """Name of the integers."""
        return _name(self.rounding.q)

    def holds(self, integers: np.ndarray, exact: np.ndarray, tolerance: float) -> bool:
        """Return whether all `integers` are what values that are off from `exact` by up to `tolerance` round to."""
        low, high = (self._round(exact + error) for error in (-tolerance, tolerance))
        return bool(np.all((low <= integers) & (integers <= high)))

    def _round(self, array: np.ndarray) -> np.ndarray:
        q = np.rint(array / np.float64(self.rounding.scale)) + self.rounding.zero
        return np.asarray(np.clip(q, self.rounding.low, self.rounding.high))


def boundaries(model: Model) -> tuple[Boundary, ...]:
    """Return where the graph rounds computed values to 8 bits or fewer with one scale, in its order."""
    found = []
    for node in model.graph:
        value = node.inputs[0] if node.op_type == "QuantizeLinear" else None
        if value is not None and const_value(value) is None and (rounding := stored(node)) is not None:
            found.append(Boundary(node, rounding))
    return tuple(found)


def expose(model: Model) -> Model:
    """Return a copy that returns its integers, too."""
    copy = clone(model)
    _add_outputs(copy, [boundary.rounding.q for boundary in boundaries(copy)])
    return copy


def resume(model: Model, inputs: Arrays, integers: Arrays) -> dict[str, np.ndarray]:
    """Return what onnxruntime computes from `inputs` and a binary's `integers`: every boundary's source, every output.

    Args:
        model: left as it is.
        inputs: by name.
        integers: by name, of every boundary.
    """
    copy, names = clone(model), Names(model)
    found = boundaries(copy)
    sources = [boundary.node.inputs[0] for boundary in found]
    _add_outputs(copy, [value for value in sources if value is not None and not value.is_graph_input()])
    for boundary in found:
        given = new_initializer(copy.graph, integers[boundary.name], names.fresh(boundary.name))
        for use in tuple(boundary.rounding.q.uses()):
            use.node.replace_input_with(use.idx, given)
    return {**inputs, **run(copy, inputs, optimize=False)}


def _add_outputs(model: Model, values: Sequence[Value]) -> None:
    """Return `values` from `model`, each once."""
    known = {value.name for value in model.graph.outputs}
    model.graph.outputs.extend(value for value in dict.fromkeys(values) if value.name not in known)


def _name(value: Value | None) -> str:
    return "" if value is None else str(value.name)
