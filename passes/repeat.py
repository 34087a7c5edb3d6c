"""Repeat passes until they change nothing any more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from galen.ir import Model, UsageError
from galen.passes.base import Pass
from galen.passes.composite import Composite, Step, watched
from galen.passes.watch import Watcher


@dataclass(frozen=True)
class Repeat(Composite, name="repeat"):
    """Apply the passes in parentheses over and over until a round changes nothing, at most `max` times."""

    passes: tuple[Pass, ...] = ()
    max: int = 16

    def __post_init__(self) -> None:
        if self.max < 1:
            raise UsageError(f"{self.max} is not at least 1", where="max")
        if not self.passes:
            raise UsageError("repeat needs passes in parentheses: repeat(simplify,…)")

    def steps(self, model: Model, watch: Sequence[Watcher]) -> Iterator[Step]:
        """Apply every pass once per round."""
        for _ in range(self.max):
            latest = [watched(each, model, watch) for each in self.passes]
            yield from latest
            if not any(step.changed for step in latest):
                break
