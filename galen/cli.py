"""`galen`: search, compile, measure and the rest. Only argparse is imported until a command runs."""

import argparse
from collections.abc import Sequence
from typing import TextIO

from galen.commands import compile as compile_
from galen.commands import devices, emulate, evaluate, measure, report, search, sensitivity, targets
from galen.edge import Parser, run

COMMANDS = (search, compile_, measure, evaluate, sensitivity, emulate, report, targets, devices)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 bad input, 2 bad usage, 3 bar missed, 130 interrupted."""
    return run(_parser(), argv, _dispatch)


def _parser() -> Parser:
    parser = Parser(prog="galen", description="Compress networks for the latency of the binary on the target.")
    parser.add_common()
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=Parser)
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        summary = (command.__doc__ or "").split("\n", 1)[0].partition(": ")[2]
        child = commands.add_parser(name, help=summary, description=summary)
        command.add_arguments(child)
        child.add_common()
        child.set_defaults(body=command.execute)
    return parser


def _dispatch(arguments: argparse.Namespace, out: TextIO) -> int:
    return int(arguments.body(arguments, out))


if __name__ == "__main__":
    raise SystemExit(main())
