"""The layers that a pass names by pattern, and new nodes in the place of one."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from galen.ir import Model, Node, Value, convert_attribute
from galen.ir.edit import Names, all_nodes, drop_unused, new_initializer, owner, replace_node
from galen.passes.quantizable import Layer, layer_of


def chosen_layers(model: Model, patterns: Sequence[str], operators: Sequence[str]) -> Iterator[Layer]:
    """Yield the layers of these operator types whose name fits one of the patterns; safe while they are replaced."""
    for node in list(all_nodes(model)):
        layer = layer_of(node) if node.op_type in operators else None
        if layer is not None and any(fnmatchcase(layer.name, pattern) for pattern in patterns):
            yield layer


class Substitute:
    """A chain of new nodes that takes the place of one."""

    def __init__(self, node: Node, names: Names) -> None:
        self._node, self._names = node, names
        self._new: list[Node] = []

    def constant(self, array: np.ndarray, label: str) -> Value:
        """Return a new initializer named after the node."""
        return new_initializer(owner(self._node), array, self._names.fresh(f"{self._node.name}.{label}"))

    def add(self, op: str, inputs: Sequence[Value | None], label: str, **attributes: Any) -> Value:
        """Append a node and return its output."""
        name = self._names.fresh(f"{self._node.name}.{label}")
        node = Node("", op, inputs, [convert_attribute(*item) for item in attributes.items()], name=name)
        node.outputs[0].name = name
        self._new.append(node)
        return node.outputs[0]

    def finish(self) -> None:
        """Put the chain where the node is; its last output takes over the name, type and shape of the node's."""
        inputs = list(self._node.inputs)
        replace_node(self._node, self._new, [self._new[-1].outputs[0]])
        drop_unused(inputs)
