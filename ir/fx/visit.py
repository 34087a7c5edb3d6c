"""Running a module value by value."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from galen.ir.samples import Batch

Visit = Callable[[str, Tensor, tuple[Any, ...]], Tensor]
"""Name of a value, the value, and what the operator that computed it was given -> the value to go on with."""


class Visitor(fx.Interpreter):
    """Runs the module of `to_fx` and hands every tensor that has an ONNX name to `visit`, which may replace it.

    A visitor that changes parameters as it goes sees the effect in all later values, within the same run.
    """

    def __init__(self, module: fx.GraphModule, visit: Visit) -> None:
        super().__init__(module)
        self._visit = visit

    def run_node(self, n: fx.Node) -> object:
        """Compute one node."""
        result = super().run_node(n)
        name = n.meta.get("value")
        if name is not None and isinstance(result, Tensor) and n.op not in ("get_attr", "placeholder"):
            return self._visit(name, result, self.fetch_args_kwargs_from_env(n)[0])
        return result


def visit(module: fx.GraphModule, inputs: tuple[Tensor, ...], callback: Visit) -> None:
    """Run `module` once without gradients, calling back for every named value that it computes."""
    with torch.no_grad():
        Visitor(module, callback).run(*inputs)


def tensors(batch: Batch) -> tuple[Tensor, ...]:
    """Return the inputs of a batch in the model's order."""
    return tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in batch.inputs.values())
