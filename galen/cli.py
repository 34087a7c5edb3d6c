"""`galen`: one command per file of `galen.commands`. Only argparse is imported at once, so that `--help` is instant."""

import argparse
from collections.abc import Sequence
from typing import TextIO

from galen.commands import compile as compile_
from galen.commands import devices, emulate, evaluate, measure, report, search, sensitivity, targets
from galen.edge import Parser, run

COMMANDS = (search, compile_, measure, evaluate, sensitivity, emulate, report, targets, devices)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: see `galen.edge`."""
    return run(_parser(), argv, _dispatch)


def _parser() -> Parser:
    parser = Parser(prog="galen", description="Compress networks for the latency of the binary on the target.")
    parser.add_common()
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in COMMANDS:
        name = module.__name__.rpartition(".")[2]
        summary = (module.__doc__ or "").splitlines()[0].partition(": ")[2].rstrip(".")
        command = commands.add_parser(name, help=summary, description=summary)
        module.configure(command)
        command.add_common()
        command.set_defaults(command=module.run)
    return parser


def _dispatch(arguments: argparse.Namespace, out: TextIO) -> int:
    code: int = arguments.command(arguments, out)
    return code
