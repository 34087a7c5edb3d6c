"""The compiler and linker that pip installs for every host."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from galen.ir.errors import GalenError


@cache
def zig() -> str:
    """Return the path of zig's program; starting it through Python would take four times as long.

    Raises:
        GalenError: the package `ziglang` is not installed.
    """
    found = find_spec("ziglang")
    if found is None or found.origin is None:
        raise GalenError("zig is not installed", hint="`pip install ziglang`")
    return str(Path(found.origin).with_name("zig"))
