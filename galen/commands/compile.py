"""galen compile: build a model into a library for the target."""

import argparse
from pathlib import Path
from typing import TextIO

from galen.commands import common
from galen.edge import DONE, Parser

FORMS = ("lib", "asm", "object", "tir", "relax", "bundle")


def add_arguments(parser: Parser) -> None:
    """Describe the command line."""
    common.add_model(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.so", help="where to write")
    parser.add_argument("--emit", choices=FORMS, default="lib", help="what to write (lib: a shared library)")
    common.add_target(parser)


def execute(arguments: argparse.Namespace, out: TextIO) -> int:
    """Compile the model."""
    from galen.backends.emit import emit  # noqa: PLC0415
    from galen.backends.lower import lower  # noqa: PLC0415
    from galen.backends.targets import find  # noqa: PLC0415
    from galen.ir.io import check_target, load  # noqa: PLC0415

    check_target(arguments.output)
    target = find(arguments.target)
    program = lower(load(arguments.model), target, common.shapes(arguments))
    emit(program, arguments.emit, arguments.output)
    out.write(f"{arguments.output}: {len(program.calls)} kernels for {target.name}\n")
    return DONE
