"""Flags that several commands share, and the forms of their values."""

import argparse
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from galen.ir.shapes import Shapes
    from galen.runners import RunnerOptions

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_ADDRESS = re.compile(r"[^:\s]+:\d{1,5}")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600}


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the model and the shapes of its dynamic inputs."""
    parser.add_argument("model", metavar="IN.onnx", help="the model; - is standard input")
    parser.add_argument("--shape", action="append", default=[], metavar="NAME=1x3x32x32", help="pin a dynamic input")


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add `--target`."""
    parser.add_argument("--target", default="cortex-a72", metavar="T",
        help="a name that `galen targets` lists, or a JSON file (default cortex-a72)")  # fmt: skip


def add_runner(parser: argparse.ArgumentParser) -> None:
    """Add what runs the binary."""
    add = parser.add_argument
    add("--runner", choices=("emulator", "rpc", "local"), help="default: local for host, else emulator")
    add_threads(parser)
    add("--tracker", type=address, metavar="HOST:PORT", help="rpc: a tracker that hands out devices")
    add("--key", metavar="K", help="rpc: the devices to ask the tracker for")
    add("--device", type=address, metavar="HOST:PORT", help="rpc: one device")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads`."""
    parser.add_argument("--threads", type=positive, default=1, metavar="N", help="threads of one inference (default 1)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="write the result as one JSON object")


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add `--seed`."""
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="where random draws start (default 0)")


def shapes(arguments: argparse.Namespace) -> "Shapes":
    """Return what `--shape` says.

    Raises:
        UsageError: it is malformed.
    """
    from galen.ir.shapes import parse_shape  # noqa: PLC0415

    return dict(map(parse_shape, arguments.shape))


def runner(arguments: argparse.Namespace) -> "RunnerOptions":
    """Return what the flags of `add_runner` say."""
    from galen.runners import RunnerOptions  # noqa: PLC0415

    return RunnerOptions(
        arguments.runner,
        arguments.threads,
        getattr(arguments, "runs", None) or RunnerOptions.runs,
        arguments.tracker,
        arguments.key,
        arguments.device,
    )


def natural(text: str) -> int:
    """Read a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def duration(text: str) -> float:
    """Read `90s`, `30m` or `2h` as seconds; a bare number is seconds."""
    match = _DURATION.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time above 0, as 90s, 30m or 2h")
    return float(match[1]) * _SECONDS[match[2]]


def address(text: str) -> str:
    """Read `HOST:PORT`."""
    if not _ADDRESS.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form HOST:PORT")
    return text
