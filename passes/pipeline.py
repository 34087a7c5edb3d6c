"""Passes in a row: itself a pass."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from galen.ir import Model, UsageError
from galen.passes.base import Pass, guarded
from galen.passes.text import nearest, parse
from galen.passes.watch import Watcher


@dataclass(frozen=True)
class Step:
    """What one pass of a pipeline did."""

    name: str
    seconds: float
    changed: bool


@dataclass(frozen=True)
class Report:
    """What a pipeline did, pass by pass."""

    steps: tuple[Step, ...]

    @property
    def changed(self) -> bool:
        """Whether any pass changed the model."""
        return any(step.changed for step in self.steps)


@dataclass(frozen=True)
class Pipeline(Pass, name="pipeline"):
    """Apply passes one after the other. After an error the model is as it was before the first."""

    passes: tuple[Pass, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Pipeline":
        """Read a pipeline from text such as `simplify,prune{sparsity=0.5}`; see `galen.passes.text.parse`."""
        return cls(parse(text))

    @property
    def text(self) -> str:
        """The text that `parse` turns into this pipeline."""
        return ",".join(map(str, self.passes))

    def apply(self, model: Model, /) -> bool:
        """Return whether any pass changed the model."""
        return self.run(model).changed

    def run(self, model: Model, watch: Sequence[Watcher] = ()) -> Report:
        """Apply the passes to `model` in place while the watchers of `watch` look on.

        Raises:
            GalenError: a pass or a watcher failed; the model is as it was.
        """
        with guarded(model):
            return Report(tuple(_step(each, model, watch) for each in self.passes))

    def until(self, name: str) -> "Pipeline":
        """Return the pipeline that stops after its first pass called `name`.

        Raises:
            UsageError: no pass of the pipeline has that name.
        """
        return Pipeline(self.passes[: 1 + self.position(name)])

    def position(self, name: str) -> int:
        """Return where the first pass called `name` is.

        Raises:
            UsageError: nowhere.
        """
        names = [each.name for each in self.passes]
        if name not in names:
            raise UsageError(f"no pass {name!r} in the pipeline", hint=nearest(name, names, "the pipeline's text"))
        return names.index(name)


def _step(each: Pass, model: Model, watch: Sequence[Watcher]) -> Step:
    for watcher in watch:
        watcher.before(each, model)
    started = time.perf_counter()
    changed = each.apply(model)
    seconds = time.perf_counter() - started
    for watcher in watch:
        watcher.after(each, model)
    return Step(each.name, seconds, changed)
