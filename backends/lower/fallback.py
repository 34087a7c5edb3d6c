"""What no rule lowers."""

from galen.backends.lower.lowering import Lowering
from galen.ir import GalenError, Node


def fallback(low: Lowering, node: Node) -> None:  # noqa: ARG001
    """Raise GalenError: there is no kernel for this operator."""
    raise GalenError(f"operator {node.op_type} cannot be lowered", where=f"node {node.name}")
