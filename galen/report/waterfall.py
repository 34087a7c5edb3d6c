"""Where the time went: from the original's latency down to the winner's, layer by layer."""

from dataclasses import dataclass
from itertools import accumulate

from galen.report.data import Figures, Layer, Run
from galen.report.scale import Scale
from galen.report.words import milliseconds, short_names

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 960, 20, 190, 90, 8, 36


@dataclass(frozen=True)
class Bar:
    """One row: `role` is `total`, `saved` or `lost`; `x`, `y` and `length` in pixels; `text` stands at its end."""

    label: str
    role: str
    x: float
    y: float
    length: float
    text: str
    tip: tuple[str, ...]


@dataclass(frozen=True)
class Waterfall:
    """The chart in pixels."""

    x: Scale
    bars: tuple[Bar, ...]
    height: int
    width: int = WIDTH
    row: int = ROW


@dataclass(frozen=True)
class _Step:
    label: str
    role: str
    start: float
    end: float
    tip: tuple[str, ...]

    @property
    def text(self) -> str:
        if self.role == "total":
            return milliseconds(self.end)
        return ("−" if self.role == "saved" else "+") + milliseconds(abs(self.end - self.start))


def waterfall(run: Run) -> Waterfall | None:
    """Lay out the fall from the baseline to the best model, None when layers were not timed apart.

    What the layers do not explain (operators without weights, the time around kernels) is a row of its own.
    """
    timed = [(e, e.latency_before, e.latency_after) for e in run.layers]
    known = [(layer, before - after) for layer, before, after in timed if before is not None and after is not None]
    if not known or run.best is None:
        return None
    steps = _steps(run.baseline, run.best, known)
    x = Scale(0, max(max(step.start, step.end) for step in steps) * 1.02, LEFT, WIDTH - RIGHT)
    bars = tuple(
        Bar(
            label=step.label,
            role=step.role,
            x=min(x(step.start), x(step.end)),
            y=TOP + ROW * row,
            length=round(abs(x(step.end) - x(step.start)), 2),
            text=step.text,
            tip=(*step.tip, step.text),
        )
        for row, step in enumerate(steps)
    )
    return Waterfall(x, bars, TOP + ROW * len(bars) + BOTTOM)


def _steps(baseline: Figures, best: Figures, known: list[tuple[Layer, float]]) -> list[_Step]:
    labels = (*short_names([layer.name for layer, _ in known]), "everything else")
    tips = [(layer.name, f"{layer.kernel_before} → {layer.kernel_after}") for layer, _ in known]
    savings = [saved for _, saved in known]
    savings.append(baseline.latency_ms - best.latency_ms - sum(savings))
    levels = list(accumulate((-saved for saved in savings), initial=baseline.latency_ms))
    falls = [
        _Step(label, "saved" if saved >= 0 else "lost", level, level - saved, tip)
        for label, saved, level, tip in zip(
            labels, savings, levels, [*tips, ("operators without weights",)], strict=False
        )
    ]
    return [
        _Step("original", "total", 0, baseline.latency_ms, ("original, fp32",)),
        *falls,
        _Step("winner", "total", 0, best.latency_ms, ("winner",)),
    ]
