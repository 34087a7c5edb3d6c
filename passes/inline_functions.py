"""Replace calls of model-local functions by their bodies."""

from dataclasses import dataclass

from galen.ir import GalenError, Model
from galen.ir.errors import root_cause
from galen.ir.library import InlinePass, applied
from galen.passes.base import Pass


@dataclass(frozen=True)
class InlineFunctions(Pass, name="inline-functions"):
    """Replace every call of a model-local function by the function's body, so that other passes see the operators."""

    tolerance = 0.0

    def apply(self, model: Model, /) -> bool:
        """Return whether there was a function.

        Raises:
            GalenError: a function is written in another opset than the model.
        """
        if not model.functions:
            return False
        for function in model.functions.values():
            for node in function:
                node.name = node.name or node.op_type  # else the library calls them all "node"
        try:
            applied(InlinePass(), model)
        except ValueError as error:
            raise GalenError(f"functions cannot be inlined: {root_cause(error)}") from error
        return True
