"""Accuracy against latency: every episode, the Pareto front, the objective's bars."""

from collections.abc import Sequence
from dataclasses import dataclass

from galen.report.data import Episode, Figures, Run
from galen.report.scale import Scale
from galen.report.words import milliseconds, percent, size

WIDTH, HEIGHT = 960, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 16, 48


@dataclass(frozen=True)
class Dot:
    """One model; `role` is one of those of the style sheet, `run` its series, `tip` the hover."""

    x: float
    y: float
    role: str
    run: int
    tip: tuple[str, ...]


@dataclass(frozen=True)
class Front:
    """The chart in pixels: dots, one staircase per run, and the objective's bars of the first run."""

    x: Scale
    y: Scale
    dots: tuple[Dot, ...]
    stairs: tuple[str, ...]
    latency_bar: float | None
    accuracy_bar: float | None
    width: int = WIDTH
    height: int = HEIGHT


def nondominated(episodes: Sequence[Episode]) -> tuple[Episode, ...]:
    """Return the episodes that no other one beats in accuracy and latency, fastest first."""
    done = [(e.figures.latency_ms, -e.figures.accuracy, e.index, e) for e in episodes if e.figures]
    front: list[Episode] = []
    highest = float("-inf")
    for _, loss, _, episode in sorted(done, key=lambda entry: entry[:3]):
        if -loss > highest:
            highest = -loss
            front.append(episode)
    return tuple(front)


def front(runs: Sequence[Run]) -> Front:
    """Lay out the chart of `runs`, which share the axes."""
    first = runs[0]
    figures = [f for run in runs for f in (run.baseline, run.best, *(e.figures for e in run.episodes)) if f]
    latencies = [f.latency_ms for f in figures] + [t for t in (first.max_latency_ms,) if t is not None]
    accuracies = [f.accuracy for f in figures] + [a for a in (first.min_accuracy,) if a is not None]
    x = Scale.covering(latencies, LEFT, WIDTH - RIGHT)
    y = Scale.covering(accuracies, HEIGHT - BOTTOM, TOP)
    return Front(
        x=x,
        y=y,
        dots=tuple(dot for index, run in enumerate(runs) for dot in _dots(run, index, x, y)),
        stairs=tuple(_stairs(nondominated(run.episodes), x, y) for run in runs),
        latency_bar=None if first.max_latency_ms is None else x(first.max_latency_ms),
        accuracy_bar=None if first.min_accuracy is None else y(first.min_accuracy),
    )


def _dots(run: Run, index: int, x: Scale, y: Scale) -> list[Dot]:
    on_front = {episode.index for episode in nondominated(run.episodes)}

    def dot(figures: Figures, role: str, *head: str) -> Dot:
        tip = (*head, _accuracy(figures), milliseconds(figures.latency_ms), size(figures.bytes))
        return Dot(x(figures.latency_ms), y(figures.accuracy), role, index, tip)

    dots = []
    for episode in sorted(run.episodes, key=lambda e: (e.index in on_front, e.feasible)):
        if episode.figures:
            role = "front" if episode.index in on_front else _role(episode.figures, episode.feasible)
            dots.append(dot(episode.figures, role, f"{run.agent}, episode {episode.index}", *_reward(episode)))
    dots.append(dot(run.baseline, "baseline", "original, fp32"))
    if run.best:
        dots.append(dot(run.best, "best", f"{run.agent}: winner, from episode {run.best_episode}"))
    return dots


def _role(figures: Figures, feasible: bool) -> str:
    return "raced" if figures.raced else "met" if feasible else "missed"


def _accuracy(figures: Figures) -> str:
    """Return the accuracy, and of what it is a share."""
    text = percent(figures.accuracy)
    if figures.raced:
        return f"about {text}: stopped after {figures.samples} samples"
    return f"{text} of {figures.samples} samples" if figures.samples else text


def _reward(episode: Episode) -> tuple[str, ...]:
    met = "within the objective" if episode.feasible else "misses the objective"
    return (met,) if episode.reward is None else (f"reward {episode.reward:.4f}", met)


def _stairs(episodes: Sequence[Episode], x: Scale, y: Scale) -> str:
    points = [(x(e.figures.latency_ms), y(e.figures.accuracy)) for e in episodes if e.figures]
    if not points:
        return ""
    path = f"M{points[0][0]},{points[0][1]}"
    for px, py in points[1:]:
        path += f"H{px}V{py}"
    return path
