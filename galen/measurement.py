"""A time that counts: the program ran on the target and agreed with onnxruntime before it was timed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from galen.backends.build import lower
from galen.backends.latency import Latency
from galen.backends.target import Target
from galen.ir import DataType, GalenError, Model, Node
from galen.ir.edit import all_nodes
from galen.ir.execute import run
from galen.ir.shapes import Shapes
from galen.runners import RunnerOptions

Arrays = Mapping[str, np.ndarray]

EXACT, ROUNDED = 1e-3, 0.02
"""Largest difference to onnxruntime, as a share of the largest output: in fp32; where there are integers or fp16."""


@dataclass(frozen=True)
class Measurement:
    """What `galen measure` prints.

    Attributes:
        max_abs_error: largest difference to onnxruntime's outputs.
    """

    target: str
    runner: str
    latency: Latency
    max_abs_error: float

    def to_json(self) -> dict[str, Any]:
        """Return the object that `galen measure --json` prints."""
        latency = self.latency
        return {
            "target": self.target,
            "runner": self.runner,
            "kind": latency.kind,
            "model": latency.model,
            "latency_ms": {"median": latency.median, "p10": latency.p10, "p90": latency.p90},
            "runs": latency.runs,
            "instructions": latency.instructions,
            "cycles": latency.cycles,
            "max_abs_error": self.max_abs_error,
            "layers": [asdict(layer) for layer in latency.layers],
        }


def measure(
    model: Model, target: Target, where: RunnerOptions, inputs: Arrays, shapes: Shapes | None = None
) -> Measurement:
    """Compile `model` for `target`, compare it with onnxruntime on `inputs`, and time it.

    Args:
        model: left as it is.
        target: what to compile for.
        where: what runs and times it.
        inputs: one inference's inputs by name.
        shapes: numbers for dynamic dimensions.

    Raises:
        GalenError: the model cannot be lowered, the device fails, or the outputs differ beyond rounding.
    """
    runner = where.open(target)
    program = lower(model, target, shapes)
    error = compare(model, runner.outputs(program, inputs), inputs, where=target.name)
    return Measurement(target.name, where.chosen(target), runner.latency(program), error)


def compare(model: Model, actual: Arrays, inputs: Arrays, *, where: str) -> float:
    """Return the largest absolute difference of `actual` to what onnxruntime computes.

    Raises:
        GalenError: it is more than rounding explains; names `where` and the output.
    """
    allowed = ROUNDED if any(map(_rounds, all_nodes(model))) else EXACT
    largest = 0.0
    for name, expected in run(model, inputs).items():
        error = float(np.abs(actual[name].astype(np.float64) - expected).max(initial=0.0))
        if not error <= allowed * max(float(np.abs(expected).max(initial=0.0)), 1e-12):
            text = f"output {name} differs by {error:.3g} from onnxruntime's"
            raise GalenError(text, where=where, hint="please report the model")
        largest = max(largest, error)
    return largest


def _rounds(node: Node) -> bool:
    """Return whether a node works on integers that stand for real numbers, or on fp16."""
    half = any(value is not None and value.dtype == DataType.FLOAT16 for value in node.inputs)
    return half or "QuantizeLinear" in node.op_type
