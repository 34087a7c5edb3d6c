"""Reward of every episode and the best so far, over episodes and over time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from galen.report.data import Episode, Run
from galen.report.scale import Scale
from galen.report.words import duration

WIDTH, HEIGHT = 470, 300
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 16, 44


@dataclass(frozen=True)
class Mark:
    """One episode's reward."""

    x: float
    y: float
    tip: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """One run: its rewards and the path of the best so far."""

    marks: tuple[Mark, ...]
    best: str


@dataclass(frozen=True)
class Panel:
    """One chart in pixels."""

    title: str
    x: Scale
    y: Scale
    series: tuple[Series, ...]
    width: int = WIDTH
    height: int = HEIGHT


def progress(runs: Sequence[Run]) -> tuple[Panel, ...]:
    """Return the two panels of `runs`; none when no episode has a reward."""
    if not any(_rewarded(run) for run in runs):
        return ()
    return (_panel(runs, "episode", lambda e: e.index), _panel(runs, "minutes", lambda e: e.seconds / 60))


def _rewarded(run: Run) -> list[tuple[Episode, float]]:
    return [(episode, episode.reward) for episode in run.episodes if episode.reward is not None]


def _panel(runs: Sequence[Run], title: str, place: Callable[[Episode], float]) -> Panel:
    told = [entry for run in runs for entry in _rewarded(run)]
    x = Scale.covering((place(e) for e, _ in told), LEFT, WIDTH - RIGHT, margin=0.02)
    y = Scale.covering((reward for _, reward in told), HEIGHT - BOTTOM, TOP)
    return Panel(title, x, y, tuple(_series(run, x, y, place) for run in runs))


def _series(run: Run, x: Scale, y: Scale, place: Callable[[Episode], float]) -> Series:
    told = _rewarded(run)
    marks = tuple(
        Mark(x(place(e)), y(r), (f"{run.agent}, episode {e.index}", f"reward {r:.4f}", f"after {duration(e.seconds)}"))
        for e, r in told
    )
    tops = accumulate((reward for _, reward in told), max)
    points = [(x(place(e)), y(top)) for (e, _), top in zip(told, tops, strict=True)]
    steps = "".join(f"H{px}V{py}" for px, py in points[1:])
    return Series(marks, f"M{points[0][0]},{points[0][1]}{steps}" if points else "")
