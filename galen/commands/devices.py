"""galen devices: list the boards at a TVM tracker."""

import argparse
import json
from typing import TextIO

from galen.edge import DONE, Parser


def add_arguments(parser: Parser) -> None:
    """Describe the command line."""
    parser.add_argument("--tracker", required=True, metavar="HOST:PORT", help="TVM's tracker")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def execute(arguments: argparse.Namespace, out: TextIO) -> int:
    """Print every key of the tracker, with the number of free and of all boards."""
    from galen.backends.tracker import boards  # noqa: PLC0415

    known = boards(arguments.tracker)
    if arguments.json:
        json.dump([vars(board) for board in known], out)
        out.write("\n")
        return DONE
    for board in known:
        out.write(f"{board.key}: {board.free} of {board.total} free, {board.waiting} waiting\n")
    if not known:
        out.write("no boards\n")
    return DONE
