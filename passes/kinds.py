"""Applying a pass to whatever form a model comes in: the result has the same form, the original stays as it is."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galen.ir import GalenError, Model, ModelProto
from galen.ir.clone import clone
from galen.ir.io import from_proto, load, to_proto

if TYPE_CHECKING:
    from galen.passes.base import Pass


def apply_to(each: "Pass", model: Any, example: tuple[Any, ...] | None = None) -> Any:
    """Return what `each` makes of `model`.

    Args:
        each: the pass.
        model: a `Model`, an `onnx.ModelProto`, the path of a file (the result is a `Model`), an `nn.Module` or
            `GraphModule` (the result is a trainable `GraphModule`) or an `ExportedProgram`.
        example: positional inputs of a torch module, to trace it with; an `ExportedProgram` brings its own.

    Raises:
        GalenError: the pass fails, or `model` is none of these.
    """
    if isinstance(model, Model):
        return _rewritten(each, clone(model))
    if isinstance(model, ModelProto):
        return to_proto(_rewritten(each, from_proto(model)))
    if isinstance(model, str | Path):
        return _rewritten(each, load(model))
    torch = sys.modules.get("torch")  # who has a torch object has imported torch
    if torch is not None and isinstance(model, torch.nn.Module | torch.export.ExportedProgram):
        return _rewritten_torch(each, model, example)
    raise GalenError(
        f"cannot apply {each.name} to a {type(model).__name__}", hint="a model, ModelProto, path or module"
    )


def _rewritten(each: "Pass", model: Model) -> Model:
    each.apply(model)
    return model


def _rewritten_torch(each: "Pass", module: Any, example: tuple[Any, ...] | None) -> Any:
    import torch  # noqa: PLC0415

    from galen.ir.fx import to_fx, trace  # noqa: PLC0415

    is_program = isinstance(module, torch.export.ExportedProgram)
    inputs = module.example_inputs[0] if is_program and example is None else example
    if inputs is None:
        raise GalenError("a torch module needs example inputs", where=each.name, hint="call with example=(tensor, …)")
    graph_module = to_fx(_rewritten(each, trace(module, inputs)))
    return torch.export.export(graph_module, inputs) if is_program else graph_module
