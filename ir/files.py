"""Files at the edge: readable or refused in one line, written completely or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from galen.ir.errors import GalenError

STANDARD_STREAM = "-"
"""The name of standard input and output."""


def check_target(target: str | Path) -> None:
    """Fail early, before any work, when `target` cannot be a file or its folder is missing or read-only.

    Raises:
        GalenError: the reason.
    """
    path = Path(target)
    if str(target) == STANDARD_STREAM:
        return
    if path.is_dir():
        raise GalenError("is a directory, not a file", where=str(path))
    if not path.parent.is_dir():
        raise GalenError("the folder does not exist", where=str(path.parent))
    if not os.access(path.parent, os.W_OK):
        raise GalenError("the folder is not writable", where=str(path.parent))


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn the errors of reading `path` into a GalenError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise GalenError("no such file", where=str(path)) from error
    except IsADirectoryError as error:
        raise GalenError("is a directory, not a file", where=str(path)) from error
    except OSError as error:
        raise GalenError(f"cannot be read: {error.strerror}", where=str(path)) from error


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """Write a file beside `path` and rename it at the end; after an error `path` is as it was and nothing is left.

    A link is followed. Devices and pipes are written to as they are: a file must not take their place.
    """
    if path.is_dir():
        raise GalenError("is a directory, not a file", where=str(path))
    try:
        with path.open("wb") if path.exists() and not path.is_file() else _beside(path.resolve()) as stream:
            yield stream
    except OSError as error:
        raise GalenError(f"cannot be written: {error.strerror}", where=str(path)) from error


@contextmanager
def _beside(path: Path) -> Iterator[IO[bytes]]:
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Permissions that a plain `open` would have given the file."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
