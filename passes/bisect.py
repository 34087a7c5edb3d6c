"""Finding the pass that breaks its promise about the outputs, by halves: in few runs of the model."""

from functools import cache
from typing import NamedTuple

from galen.ir import GalenError, Model
from galen.ir.clone import clone
from galen.ir.execute import Arrays
from galen.passes.base import Pass
from galen.passes.fields import CHILDREN
from galen.passes.watch import Watcher, check_promise, largest_change, run_on, tolerance_of


class _Stage(NamedTuple):
    """A model, and the pass that made it from the one before; None: the original."""

    maker: Pass | None
    model: Model


class Bisect(Watcher):
    """Keeps a copy of the model after every pass (weights are shared), and names the culprit in the end.

    Passes that promise nothing (prune) divide the pipeline; between two of them the outputs may move by the sum of the
    tolerances. Where they move further, halving finds the first pass after which they do: of n passes, log2(n) + 2
    models are run.

    Args:
        inputs: what the model is run on.
    """

    def __init__(self, inputs: Arrays) -> None:
        self._inputs = inputs
        self._stages: list[_Stage] = []
        self._outputs = cache(self._run)

    def before(self, each: Pass, model: Model) -> None:  # noqa: ARG002
        """Keep the original."""
        if not self._stages:
            self._stages.append(_Stage(None, clone(model)))

    def after(self, each: Pass, model: Model) -> None:
        """Keep what the pass made; a pass made of passes made nothing itself."""
        if not hasattr(each, CHILDREN):
            try:
                self._stages.append(_Stage(each, clone(model)))
            except GalenError as error:
                raise GalenError(f"left a broken model: {error}", where=f"pass {each}") from error

    def finish(self) -> None:
        """Raise GalenError that names the pass which breaks its promise, or after which the model does not run."""
        start = 0
        for number, stage in enumerate(self._stages):
            if stage.maker is not None and tolerance_of(stage.maker) is None:
                self._search(start, number - 1)
                start = number
        self._search(start, len(self._stages) - 1)

    def _search(self, start: int, end: int) -> None:
        """Blame a pass between two stages, if there is anything to blame it for."""
        self._outputs(start)
        if start == end or self._is_sound(start, end):
            return
        good, bad = start, end
        while bad - good > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if self._is_sound(start, middle) else (good, middle)
        maker = self._stages[bad].maker
        if maker is not None:
            check_promise(maker, self._outputs(good), self._outputs(bad))

    def _is_sound(self, start: int, number: int) -> bool:
        """Return whether the outputs are still those of `start`, as far as the passes in between promise it."""
        makers = [stage.maker for stage in self._stages[start + 1 : number + 1]]
        allowed = sum(tolerance_of(maker) or 0.0 for maker in makers if maker is not None)
        try:
            outputs = self._outputs(number)
        except GalenError:  # it does not run: whoever is blamed for that says so
            return False
        return largest_change(self._outputs(start), outputs)[1] <= allowed

    def _run(self, number: int) -> Arrays:
        maker, model = self._stages[number]
        try:
            return run_on(model, self._inputs)
        except GalenError as error:
            if maker is None:
                raise
            raise GalenError(f"left a model that does not run: {error}", where=f"pass {maker}") from error
