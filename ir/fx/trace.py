"""`trace`: torch modules as models."""

from typing import Any

import onnx_ir
import torch
from torch import nn

from galen.ir.errors import GalenError


def trace(module: "nn.Module | torch.export.ExportedProgram", example_inputs: tuple[Any, ...] = ()) -> onnx_ir.Model:
    """Return the model that a module, graph module or exported program computes, in inference mode.

    Args:
        module: what to export; its training flag is left as it was.
        example_inputs: positional inputs of a module. Their first axis becomes dynamic, unless the module's code fixes
            it; all other sizes are fixed. An exported program has its own.

    Raises:
        GalenError: torch cannot export the module.
    """
    program = module if isinstance(module, torch.export.ExportedProgram) else _export(module, example_inputs)
    try:
        exported = torch.onnx.export(program, dynamo=True, verbose=False)
    except torch.onnx.errors.OnnxExporterError as error:
        raise GalenError(f"torch cannot export the module: {' '.join(str(error).split())[:200]}") from error
    if exported is None:
        raise GalenError("torch exported nothing")
    return exported.model


def _export(module: nn.Module, examples: tuple[Any, ...]) -> torch.export.ExportedProgram:
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        return _first_that_works(module, examples)
    finally:
        for part, training in modes:
            part.training = training


def _first_that_works(module: nn.Module, examples: tuple[Any, ...]) -> torch.export.ExportedProgram:
    """Export with a dynamic batch if that is possible.

    Torch takes a batch of one for a constant where the module's code looks at it: hence the second try.
    """
    from torch._dynamo.exc import TorchDynamoException  # noqa: PLC0415

    batch = torch.export.Dim("batch")
    dynamic = tuple({0: batch} if _is_batch(example) else None for example in examples)
    doubled = tuple(torch.cat([example, example]) if _is_batch(example) else example for example in examples)
    reason = ""
    for inputs, shapes in ((examples, dynamic), (doubled, dynamic), (examples, None)):
        try:
            return torch.export.export(module, inputs, dynamic_shapes=shapes)
        except (TorchDynamoException, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
    raise GalenError(f"torch cannot export the module: {reason}")


def _is_batch(example: Any) -> bool:
    return isinstance(example, torch.Tensor) and example.dim() > 0
