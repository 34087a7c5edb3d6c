"""What a coupling rule is: how one operator ties axes together, and how its node follows a cut of them."""

from collections.abc import Callable
from dataclasses import dataclass

from galen.ir.coupling.axes import Axes
from galen.ir.coupling.rewriter import Rewriter


def nothing(_: Rewriter) -> None:
    """Follow a cut without any change: the operator takes whatever lengths come."""


@dataclass(frozen=True)
class Rule:
    """Both sides of one operator.

    Attributes:
        couple: asks `Axes` for axes of the node's operands and says what ties them; what it does not ask for stays.
        rewrite: adapts attributes and shape-like inputs of the node; constants are cut elsewhere, for all operators.
    """

    couple: Callable[[Axes], None]
    rewrite: Callable[[Rewriter], None] = nothing
