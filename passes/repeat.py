"""Repeat passes until they change nothing any more."""

from dataclasses import dataclass

from galen.ir import Model, UsageError
from galen.passes.base import Pass


@dataclass(frozen=True)
class Repeat(Pass, name="repeat"):
    """Apply the passes in parentheses over and over until a round changes nothing, at most `max` times."""

    passes: tuple[Pass, ...] = ()
    max: int = 16

    def __post_init__(self) -> None:
        if self.max < 1:
            raise UsageError(f"{self.max} is not at least 1", where="max")
        if not self.passes:
            raise UsageError("repeat needs passes in parentheses: repeat(simplify,…)")

    def apply(self, model: Model, /) -> bool:
        """Return whether any round changed the model."""
        rounds = 0
        while rounds < self.max and sum(each.apply(model) for each in self.passes):
            rounds += 1
        return rounds > 0
