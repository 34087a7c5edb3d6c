"""Passes in a row: itself a pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from galen.ir import Model, UsageError
from galen.passes.base import Pass
from galen.passes.composite import Composite, Step, watched
from galen.passes.text import nearest, parse
from galen.passes.watch import Watcher


@dataclass(frozen=True)
class Pipeline(Composite, name="pipeline"):
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

    def steps(self, model: Model, watch: Sequence[Watcher]) -> Iterator[Step]:
        """Apply every pass once."""
        for each in self.passes:
            yield watched(each, model, watch)

    def until(self, name: str) -> "Pipeline":
        """Return the pipeline that stops after its first pass called `name`.

        Raises:
            UsageError: no pass of the pipeline has that name.
        """
        names = [each.name for each in self.passes]
        _require(name, names)
        return Pipeline(self.passes[: 1 + names.index(name)])

    def require(self, name: str) -> None:
        """Raise UsageError unless a pass of that name is in the pipeline, be it inside of another."""
        _require(name, [each.name for each in self.walk()])


def _require(name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise UsageError(f"no pass {name!r} in the pipeline", hint=nearest(name, names, "the pipeline's text"))
