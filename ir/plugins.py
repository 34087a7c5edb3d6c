"""What other packages bring, by entry points of theirs."""

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from galen.ir.errors import GalenError


@functools.cache
def find(group: str, name: str) -> Any:
    """Return what an installed package registers under `name` in `group`, None when none does.

    Raises:
        GalenError: it cannot be imported.
    """
    return next((load(entry) for entry in entry_points(group=group, name=name)), None)


def names(group: str) -> list[str]:
    """Return the names that installed packages register in `group`, sorted."""
    return sorted(entry_points(group=group).names)


def load(entry: EntryPoint) -> Any:
    """Return what an entry point stands for.

    Raises:
        GalenError: it cannot be imported.
    """
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        where = f"{entry.group.removeprefix('galen.')} {entry.name} ({entry.value})"
        raise GalenError(f"cannot be imported: {error}", where=where) from error
