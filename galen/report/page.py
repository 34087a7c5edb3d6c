"""From runs to one HTML file that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from galen.ir.files import atomic
from galen.report import words
from galen.report.data import Run
from galen.report.front import front
from galen.report.heat import heat
from galen.report.policy_chart import policy_chart
from galen.report.progress import progress
from galen.report.reasons import reason
from galen.report.waterfall import waterfall

Curves = Mapping[str, Mapping[str, tuple[float, ...]]]


def render(runs: Sequence[Run]) -> str:
    """Return the page of one run, or of several compared (the first one's bars are drawn)."""
    return _render(
        "page.html",
        runs=runs,
        front=front(runs),
        progress=progress(runs),
        policies=[policy_chart(run) for run in runs],
        waterfalls=[waterfall(run) for run in runs],
        heats=[heat({layer.name: layer.sensitivity for layer in run.layers}) for run in runs],
    )


def write(runs: Sequence[Run], path: Path) -> None:
    """Write the page of `runs` to `path`, whole or not at all."""
    with atomic(path) as stream:
        stream.write(render(runs).encode())


def write_sensitivity(curves: Curves, model: str, path: Path) -> None:
    """Write the heat map of one model to `path`, whole or not at all."""
    with atomic(path) as stream:
        stream.write(_render("sensitivity.html", model=model, chart=heat(curves)).encode())


def _render(template: str, **values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("galen.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = (words.quantity, words.milliseconds, words.percent, words.size, words.duration, words.bits, reason)
    environment.filters.update({function.__name__: function for function in shown})
    return environment.get_template(template).render(**values)
