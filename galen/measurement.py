"""A time that counts: the program ran on the target and agreed with onnxruntime before it was timed."""

from dataclasses import asdict, dataclass
from typing import Any

from galen.agreement import verify
from galen.backends.build import lower
from galen.backends.latency import Latency
from galen.backends.target import Target
from galen.boundaries import Arrays
from galen.ir import Model
from galen.ir.shapes import Shapes
from galen.runners import RunnerOptions


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

    def compute(asked: Model) -> Arrays:
        return runner.outputs(program if asked is model else lower(asked, target, shapes), inputs)

    error = verify(model, compute, inputs, where=target.name)
    return Measurement(target.name, where.chosen(target), runner.latency(program), error)
