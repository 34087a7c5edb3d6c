"""Arguments that several commands share, and how their values are read."""

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from galen.edge import Parser

if TYPE_CHECKING:
    from galen.backends.runner import Runner
    from galen.backends.target import Target

_DURATION = re.compile(r"(\d+(?:\.\d*)?)\s*(s|m|h)?")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600}
TARGET = "cortex-a72"


def add_model(parser: Parser) -> None:
    """Add the model to read."""
    parser.add_argument("model", type=Path, metavar="IN.onnx", help="the model")


def add_target(parser: Parser) -> None:
    """Add where the model is to run."""
    add = parser.add_argument
    add("--target", default=TARGET, metavar="T", help=f"core, board or JSON file; see `galen targets` ({TARGET})")
    add("--shape", action="append", default=[], metavar="NAME=1x3x32x32", help="numbers for a dynamic input")
    add("--threads", type=whole(1), default=1, metavar="N", help="threads of one inference (1)")


def add_runner(parser: Parser) -> None:
    """Add how it is timed."""
    add = parser.add_argument
    add("--runner", choices=("emulator", "rpc", "local"), help="default: local for the host, else emulator")
    add("--tracker", metavar="HOST:PORT", help="rpc: TVM's tracker")
    add("--key", metavar="K", help="rpc: key of the devices at the tracker")
    add("--device", metavar="HOST:PORT", help="rpc: one device, without a tracker")


def add_output_form(parser: Parser) -> None:
    """Add JSON output and the seed."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="where random draws start (0)")


def whole(least: int) -> Callable[[str], int]:
    """Return a reader of whole numbers of at least `least`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)

    return read


def duration(text: str) -> float:
    """Read `90s`, `30m`, `1.5h` or plain seconds."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 30m or 1.5h")
    return float(match[1]) * _SECONDS[match[2]]


def shapes(arguments: argparse.Namespace) -> Mapping[str, tuple[int, ...]]:
    """Return the values of `--shape` by input."""
    from galen.ir.shapes import parse_shape  # noqa: PLC0415

    return dict(map(parse_shape, arguments.shape))


def runner(arguments: argparse.Namespace, target: "Target") -> "Runner":
    """Return what `--runner` names for a target."""
    from galen.backends.runners import open_runner  # noqa: PLC0415

    return open_runner(arguments.runner, target, repeats=getattr(arguments, "runs", None))
