"""From runs to one HTML file that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

from galen.ir.io import atomic
from galen.report import words
from galen.report.data import Run
from galen.report.front import front
from galen.report.heat import heat
from galen.report.policy_chart import policy_chart
from galen.report.progress import progress
from galen.report.reasons import reason
from galen.report.waterfall import waterfall


def render(runs: Sequence[Run]) -> str:
    """Return the page of one run, or of several compared (the first one's bars are drawn)."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        loader=PackageLoader("galen.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        quantity=words.quantity,
        milliseconds=words.milliseconds,
        percent=words.percent,
        size=words.size,
        duration=words.duration,
        bits=words.bits,
        reason=reason,
    )
    return environment.get_template("page.html").render(
        runs=runs,
        front=front(runs),
        progress=progress(runs),
        policies=[policy_chart(run) for run in runs],
        waterfalls=[waterfall(run) for run in runs],
        heats=[heat(run) for run in runs],
    )


def write(runs: Sequence[Run], path: Path) -> None:
    """Write the page of `runs` to `path`, whole or not at all."""
    with atomic(path) as stream:
        stream.write(render(runs).encode())
