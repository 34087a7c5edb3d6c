"""How a search looks on a terminal: one live line while it runs, a short table at its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from galen.agents.goal import Goal
from galen.agents.searcher import Outcome
from galen.journal import Episode
from galen.options import SearchOptions
from galen.report.words import duration, milliseconds, percent, size
from galen.result import SearchResult
from galen.watcher import SearchWatcher, Silent


@contextmanager
def watcher() -> Iterator[SearchWatcher]:
    """Lend a watcher that draws on standard error; where that is no terminal, one that says nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Silent()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console) as progress:
        yield Live(progress)


class Live:
    """Shows the phase, then episode, best so far and time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("load", total=None, note="")
        self._options: SearchOptions | None = None
        self._started, self._first = time.monotonic(), 0

    def phase(self, name: str) -> None:
        """Show the name of the phase."""
        self._progress.update(self._task, description=name)

    def ready(self, options: SearchOptions, goal: Goal, done: int) -> None:
        """Show what the original costs and how many episodes lie ahead."""
        self._options, self._started, self._first = options, time.monotonic(), done
        self._progress.console.print(f"original: {_figures(goal.reference)}", highlight=False)
        total = None if options.episodes is None and options.time_budget is not None else options.limit
        self._progress.update(self._task, total=total, completed=done)

    def episode(self, episode: Episode, best: Episode) -> None:
        """Move the bar."""
        mark = "" if best.met else ", not yet within the objective"
        note = f"best: {_figures(best.outcome)}{mark}{self._left(episode)}"
        self._progress.update(self._task, completed=episode.number + 1, note=note)

    def training(self, step: int, steps: int) -> None:
        """Move the bar of fine-tuning."""
        if step == 1:
            self._started = time.monotonic()
        left = (time.monotonic() - self._started) / step * (steps - step)
        note = f"{duration(left)} left" if step > 1 else ""
        self._progress.update(self._task, total=steps, completed=step, note=note)

    def _left(self, episode: Episode) -> str:
        """Return the time left, by the pace so far or by the budget, whichever ends first."""
        options, now = self._options, time.monotonic()
        if options is None:
            return ""
        left = float("inf")
        if options.time_budget is not None:
            left = options.time_budget - episode.elapsed
        if options.episodes is not None or options.time_budget is None:
            pace = (now - self._started) / max(episode.number + 1 - self._first, 1)
            left = min(left, pace * (options.limit - episode.number - 1))
        return f"; {duration(max(left, 0.0))} left"


def table(result: SearchResult, folder: Path) -> str:
    """Return the final table as text, plain."""
    grid = Table(title=f"{result.agent} search, {result.episodes} episodes, {duration(result.seconds)}")
    for name, justify in (("", "left"), ("latency", "right"), ("accuracy", "right"), ("weights", "right")):
        grid.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name, outcome in (("original", result.baseline), ("best", result.best)):
        grid.add_row(name, milliseconds(outcome.latency_ms), percent(outcome.accuracy), size(outcome.bytes))
    ratio = result.baseline.latency_ms / result.best.latency_ms
    loss = 100 * (result.best.accuracy - result.baseline.accuracy)
    shrink = result.baseline.bytes / max(result.best.bytes, 1)
    grid.add_row("", f"{ratio:.2f} x faster", f"{loss:+.2f} points", f"{shrink:.2f} x smaller")
    buffer = StringIO()
    Console(file=buffer, width=80).print(grid)
    lines = [f"times on {result.target} are {result.kind}"]
    if result.test_accuracy is not None:
        lines.append(f"accuracy on test data: {percent(result.test_accuracy)}")
    lines.append("objective met" if result.met else "objective not met; this is the best so far")
    lines.append(f"results in {folder}; open {folder / 'report.html'}")
    return buffer.getvalue() + "\n".join(lines) + "\n"


def _figures(outcome: Outcome) -> str:
    return f"{percent(outcome.accuracy)} at {milliseconds(outcome.latency_ms)}"
