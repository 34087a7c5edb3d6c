"""Where a command line meets the world: one line per error, exit codes, and standard output for results only.

Imports nothing but the standard library, so that `--help` is instant.
"""

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

DONE, FAILED, USAGE, MISSED, INTERRUPTED = 0, 1, 2, 3, 130

Body = Callable[[argparse.Namespace, TextIO], int]
"""A command: takes parsed arguments and the stream for its results, returns the exit code."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, that takes no abbreviations and knows --version and --debug."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **kwargs})

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        self.exit(USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def add_common(self) -> None:
        """Add `--version` and `--debug`."""
        self.add_argument("--version", action=_Version, help="print the version and exit")
        self.add_argument("--debug", action="store_true", help="show the traceback of an error")


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version  # noqa: PLC0415

        sys.stdout.write(f"{parser.prog} {version('galen')}\n")
        parser.exit(DONE)


def run(parser: argparse.ArgumentParser, argv: Sequence[str] | None, body: Body) -> int:
    """Parse `argv`, run `body` and return the exit code; every error becomes one line on standard error."""
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)  # it warns of what is an error here, in many lines
    try:
        with results() as out:
            return body(arguments, out)
    except KeyboardInterrupt:
        _say(parser.prog, "interrupted")
        return INTERRUPTED
    except Exception as error:  # the boundary: whatever went wrong inside, the user sees one line
        return _report(parser.prog, error, arguments.debug)


@contextmanager
def results() -> Iterator[TextIO]:
    """Lend the real standard output; whatever else is printed meanwhile, by libraries too, goes to standard error."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    python_stdout, sys.stdout = sys.stdout, sys.stderr
    stream = os.fdopen(saved, "w", encoding="utf-8", closefd=False)
    try:
        yield stream
        stream.flush()
    finally:
        sys.stdout = python_stdout
        os.dup2(saved, 1)
        _close_quietly(stream)
        os.close(saved)


def _close_quietly(stream: TextIO) -> None:
    """Drop what could not be written: the error that matters is already on its way."""
    try:
        stream.close()
    except OSError:
        return


def _report(prog: str, error: Exception, debug: bool) -> int:
    from galen.ir.errors import GalenError, UsageError  # noqa: PLC0415

    if debug:
        traceback.print_exception(error)
    if isinstance(error, GalenError):
        _say(prog, str(error))
        if isinstance(error, UsageError) and error.text is not None and error.column is not None:
            sys.stderr.write(caret(error.text, error.column))
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        return FAILED
    if isinstance(error, MemoryError):
        _say(prog, "out of memory")
    elif isinstance(error, OSError):
        _say(prog, f"{error.filename or 'input/output'}: {error.strerror or error}")
    else:
        _say(prog, f"internal error: {type(error).__name__}: {error} (run with --debug and report it)")
    return FAILED


def caret(text: str, column: int) -> str:
    """Return the line of `text` that holds position `column` and, under it, a caret."""
    start = text.rfind("\n", 0, column) + 1
    end = text.find("\n", column)
    line = "".join(c if c.isprintable() else "?" for c in text[start : end if end >= 0 else len(text)])
    return f"  {line}\n  {' ' * (column - start)}^\n"


def _say(prog: str, message: str) -> None:
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    sys.stderr.write(f"{prog}: error: {line}\n")
    sys.stderr.flush()
