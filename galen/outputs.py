"""The files that a search leaves; each is whole at any time."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from galen.backends.build import link, lower
from galen.ir import GalenError, Model
from galen.ir.files import atomic
from galen.ir.io import save
from galen.journal import Episode
from galen.pareto import front
from galen.passes.policy import Policy
from galen.result import figures
from galen.subject import Subject

JOURNAL, BEST_MODEL, BEST_LIBRARY = "journal.db", "best.onnx", "best.so"
POLICY, PARETO, REPORT = "policy.json", "pareto.json", "report.html"


@contextmanager
def prepared(folder: Path, *, resume: bool) -> Iterator[None]:
    """Make the output folder; when nothing of worth came to be in it, after a bad argument say, remove it again.

    Raises:
        GalenError: it exists and the search is not to be resumed, or cannot be made.
    """
    is_new = not folder.exists()
    if not is_new and not resume:
        raise GalenError("exists already", where=str(folder), hint="--resume goes on with it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GalenError(f"cannot be made: {error.strerror}", where=str(folder)) from error
    with ExitStack() as undo:
        if is_new:
            undo.callback(_remove_unless_found, folder)
        yield
        undo.pop_all()


def _remove_unless_found(folder: Path) -> None:
    if not (folder / BEST_MODEL).exists():
        shutil.rmtree(folder)


def save_best(folder: Path, model: Model, policy: Policy, subject: Subject) -> None:
    """Write the model, its library for the target, and its policy."""
    save(model, folder / BEST_MODEL)
    link(lower(model, subject.target, subject.shapes), folder / BEST_LIBRARY)
    write(folder / POLICY, str(policy) + "\n")


def save_front(folder: Path, episodes: Iterable[Episode]) -> None:
    """Write the Pareto front of the episodes."""
    rows: list[dict[str, Any]] = [
        {"episode": e.number, **figures(e.outcome), "policy": e.policy.to_json()} for e in front(episodes)
    ]
    write(folder / PARETO, json.dumps(rows, indent=1) + "\n")


def write(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all."""
    with atomic(path) as file:
        file.write(text.encode())
