"""Axes: from values to pixels, with round ticks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """A linear map of `low..high` (data) to `start..end` (pixels; `start > end` for an axis that points up)."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def covering(cls, values: Iterable[float], start: float, end: float, *, margin: float = 0.05) -> "Scale":
        """Return a scale that shows all finite `values`, with `margin` (a share of their range) on both sides."""
        finite = [value for value in values if math.isfinite(value)]
        low, high = min(finite, default=0.0), max(finite, default=1.0)
        room = (high - low) * margin or abs(high) * margin or 1.0
        return cls(low - room, high + room, start, end)

    def __call__(self, value: float) -> float:
        """Return the pixel of `value`, to a hundredth."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, count: int = 6) -> tuple[float, ...]:
        """Return about `count` round values inside the scale (steps of 1, 2 or 5 times a power of ten)."""
        rough = (self.high - self.low) / max(count, 1)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(round(index * step, 12) for index in range(first, last + 1))
