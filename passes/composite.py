"""Passes made of passes, which watchers see one by one."""

import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from galen.ir import Model
from galen.passes.base import Pass, guarded
from galen.passes.watch import Watcher


@dataclass(frozen=True)
class Step:
    """What one pass of a composite did."""

    name: str
    seconds: float
    changed: bool


@dataclass(frozen=True)
class Report:
    """What a composite did, pass by pass."""

    steps: tuple[Step, ...]

    @property
    def changed(self) -> bool:
        """Whether any pass changed the model."""
        return any(step.changed for step in self.steps)


class Composite(Pass):
    """A pass that applies others. Subclass it as a frozen dataclass.

    Attributes:
        passes: what it applies; in text they stand in parentheses.
    """

    passes: tuple[Pass, ...]

    @abstractmethod
    def steps(self, model: Model, watch: Sequence[Watcher]) -> Iterator[Step]:
        """Apply the passes one by one, each through `watched`, and yield what they did."""

    def run(self, model: Model, watch: Sequence[Watcher] = ()) -> Report:
        """Apply the passes to `model` in place while the watchers of `watch` look on.

        Raises:
            GalenError: a pass or a watcher failed; the model is as it was.
        """
        with guarded(model):
            report = Report(tuple(self.steps(model, watch)))
            for watcher in watch:
                watcher.finish()
        return report

    def apply(self, model: Model, /) -> bool:
        """Return whether any pass changed the model."""
        return self.run(model).changed

    def walk(self) -> Iterator[Pass]:
        """Yield every pass inside, those inside of others too."""
        for each in self.passes:
            yield each
            if isinstance(each, Composite):
                yield from each.walk()


def watched(each: Pass, model: Model, watch: Sequence[Watcher]) -> Step:
    """Apply one pass, and what is inside of it, under the eyes of the watchers."""
    for watcher in watch:
        watcher.before(each, model)
    started = time.perf_counter()
    changed = Report(tuple(each.steps(model, watch))).changed if isinstance(each, Composite) else each.apply(model)
    seconds = time.perf_counter() - started
    for watcher in watch:
        watcher.after(each, model)
    return Step(each.name, seconds, changed)
