"""`trace`: torch modules as models."""

from typing import Any

import onnx_ir
import torch
from torch import nn

from galen.ir.errors import GalenError


def trace(module: "nn.Module | torch.export.ExportedProgram", example_inputs: tuple[Any, ...]) -> onnx_ir.Model:
    """Return the model that a module, graph module or exported program computes, in inference mode.

    Args:
        module: what to export; its training flag is left as it was.
        example_inputs: positional inputs; their first axis becomes dynamic, all other sizes are fixed.

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


def _export(module: nn.Module, example_inputs: tuple[Any, ...]) -> torch.export.ExportedProgram:
    modes = [(part, part.training) for part in module.modules()]
    batch = torch.export.Dim("batch")
    shapes = tuple({0: batch} if isinstance(i, torch.Tensor) and i.dim() else None for i in example_inputs)
    try:
        return torch.export.export(module.eval(), example_inputs, dynamic_shapes=shapes)
    finally:
        for part, training in modes:
            part.training = training
