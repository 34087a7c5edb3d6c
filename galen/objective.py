"""The objective as the user states it, `--max-latency 25%|4.2ms` and `--min-accuracy=0.91|=-0.005`, and as numbers."""

import re
from dataclasses import dataclass

from galen.agents.goal import Goal
from galen.agents.searcher import Outcome
from galen.ir import UsageError

_LATENCY = re.compile(r"(?P<number>\d+(?:\.\d*)?|\.\d+)\s*(?P<unit>%|ms)")
DEFAULT_LATENCY = "50%"


@dataclass(frozen=True)
class Objective:
    """Bounds, absolute or relative to the fp32 build of the input; with neither given, half its latency.

    Attributes:
        max_latency: `25%` or `4.2ms`.
        min_accuracy: a share of 1; negative: that much below the original's.

    Raises:
        UsageError: a bound is malformed or out of range.
    """

    max_latency: str | None = None
    min_accuracy: float | None = None

    def __post_init__(self) -> None:
        if self.max_latency is not None:
            _latency(self.max_latency)
        if self.min_accuracy is not None and not -1 <= self.min_accuracy <= 1:
            raise UsageError(f"{self.min_accuracy} is not a share from -1 to 1", where="--min-accuracy")

    @classmethod
    def parse(cls, max_latency: str | None, min_accuracy: str | None) -> "Objective":
        """Read the two flags; `--min-accuracy =-0.005` is as good as `--min-accuracy=-0.005`."""
        try:
            accuracy = None if min_accuracy is None else float(min_accuracy.removeprefix("="))
        except ValueError as error:
            hint = "a share as 0.91, or a loss as -0.005"
            raise UsageError(f"{min_accuracy!r} is not a number", where="--min-accuracy", hint=hint) from error
        return cls(max_latency, accuracy)

    def goal(self, reference: Outcome) -> Goal:
        """Return the bounds in milliseconds and as a share, given the figures of the original."""
        latency = self.max_latency
        if latency is None and self.min_accuracy is None:
            latency = DEFAULT_LATENCY
        accuracy = self.min_accuracy
        if accuracy is not None and accuracy < 0:
            accuracy += reference.accuracy
        if latency is None:
            return Goal(reference, None, accuracy)
        number, unit = _latency(latency)
        return Goal(reference, number if unit == "ms" else number / 100 * reference.latency_ms, accuracy)

    def __str__(self) -> str:
        parts = []
        if self.max_latency is not None or self.min_accuracy is None:
            parts.append(f"latency within {self.max_latency or DEFAULT_LATENCY}")
        if self.min_accuracy is not None:
            relative = self.min_accuracy < 0
            parts.append(f"accuracy at least {'the original ' if relative else ''}{self.min_accuracy:g}")
        return ", ".join(parts)


def _latency(text: str) -> tuple[float, str]:
    match = _LATENCY.fullmatch(text.strip())
    if match is None or float(match["number"]) == 0:
        hint = "a share as 25%, or a time as 4.2ms"
        raise UsageError(f"{text!r} is not a latency above 0", where="--max-latency", hint=hint)
    return float(match["number"]), match["unit"]
