"""galen compile: build the binary of a model for a target."""

import argparse
from pathlib import Path
from typing import TextIO

from galen.commands import options
from galen.edge import DONE

FORMS = ("lib", "asm", "object", "tir", "relax", "bundle")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    options.add_model(parser)
    options.add_target(parser)
    options.add_threads(parser)
    add = parser.add_argument
    add("-o", "--output", required=True, type=Path, metavar="OUT.so", help="where to write")
    add("--emit", choices=FORMS, default="lib",
        help="lib: shared library (default); object: one relocatable object; asm, tir: text of the kernels; relax: "
        "text of the program around them; bundle: .tar of the library and its interface")  # fmt: skip


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Build and say what was written."""
    from galen.backends.build import lower  # noqa: PLC0415
    from galen.backends.emit import emit  # noqa: PLC0415
    from galen.ir.files import check_target  # noqa: PLC0415
    from galen.ir.io import load  # noqa: PLC0415
    from galen.runners import RunnerOptions  # noqa: PLC0415

    target = RunnerOptions(threads=arguments.threads).target(arguments.target)
    shapes = options.shapes(arguments)
    check_target(str(arguments.output))
    program = lower(load(arguments.model), target, shapes)
    emit(program, arguments.emit, arguments.output)
    out.write(f"{arguments.output}: {len(program.calls)} kernel calls for {target.name}\n")
    return DONE
