"""Give every node a name that a policy can refer to."""

from dataclasses import dataclass

from galen.ir import Model, Node, Value
from galen.ir.library import NameFixPass, applied
from galen.passes.base import Pass


class _ByOperator:
    """Unnamed nodes are called after their operator: Conv, Conv_1, Conv_2 …"""

    def generate_node_name(self, node: Node) -> str:
        return node.name or node.op_type

    def generate_value_name(self, value: Value) -> str:
        producer = value.producer()
        return value.name or (f"{producer.name or producer.op_type}_output" if producer else "value")


@dataclass(frozen=True)
class NameNodes(Pass, name="name-nodes"):
    """Give every node and value a unique, non-empty name; names that already are unique stay, so it is stable."""

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether a name was missing or taken."""
        return applied(NameFixPass(_ByOperator()), model)
