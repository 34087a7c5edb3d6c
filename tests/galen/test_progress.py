"""What the terminal shows of a search: best so far, time left, a table at the end; without a terminal nothing."""

from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TextColumn

from galen.agents.goal import Goal
from galen.agents.searcher import Outcome
from galen.commands.progress import Live, table, watcher
from galen.journal import Episode
from galen.options import SearchOptions
from galen.passes.policy import Policy
from galen.result import SearchResult
from galen.watcher import Silent

ORIGINAL, BEST = Outcome(0.92, 4.0, 400_000), Outcome(0.9, 1.25, 100_000)


def episode(number: int, elapsed: float, *, met: bool = True) -> Episode:
    return Episode(number, Policy(), BEST, met, 0.9, elapsed)


def shown(options: SearchOptions, *episodes: Episode) -> str:
    """Return the last note of the live line."""
    with Progress(TextColumn("{task.fields[note]}"), console=Console(file=StringIO(), force_terminal=True)) as progress:
        live = Live(progress)
        live.ready(options, Goal(ORIGINAL, max_latency_ms=2.0), 0)
        for done in episodes:
            live.episode(done, done)
        return str(progress.tasks[0].fields["note"])


def options(**changes: object) -> SearchOptions:
    return SearchOptions(Path("net.onnx"), "data.npz", Path("out"), **changes)  # type: ignore[arg-type]


def test_the_line_tells_the_best_so_far_and_the_time_left() -> None:
    note = shown(options(time_budget=60.0), episode(0, 12.0))
    assert note == "best: 90.00 % at 1.25 ms; 48.0 s left"
    assert shown(options(episodes=1), episode(0, 12.0)).endswith("; 0.0 s left")


def test_a_best_that_misses_the_objective_is_called_so() -> None:
    assert "not yet within the objective" in shown(options(time_budget=60.0), episode(0, 12.0, met=False))


def test_without_a_terminal_nothing_is_said() -> None:
    with watcher() as watch:
        assert isinstance(watch, Silent)


def test_the_table_compares_the_winner_with_the_original() -> None:
    result = SearchResult(ORIGINAL, BEST, 0.88, True, 150, 600.0, 0, "joint", "cortex-a72", "modelled")
    text = table(result, Path("out"))
    assert "joint search, 150 episodes, 10 min 00 s" in text
    assert "3.20 x faster" in text
    assert "-2.00 points" in text
    assert "4.00 x smaller" in text
    assert "times on cortex-a72 are modelled\naccuracy on test data: 88.00 %\nobjective met\n" in text
    assert max(map(len, text.splitlines())) <= 80
