"""galen emulate: time any AArch64 program with the clock that times kernels (needs qemu-user)."""

import argparse
import json
from pathlib import Path
from typing import TextIO

from galen.commands import common
from galen.edge import Parser


def add_arguments(parser: Parser) -> None:
    """Describe the command line."""
    parser.add_argument("--cpu", default=common.TARGET, metavar="CORE", help=f"see `galen targets` ({common.TARGET})")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder with the program's loader and libraries")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("program", nargs="+", metavar="-- PROGRAM ARGS", help="an AArch64 program and its arguments")


def execute(arguments: argparse.Namespace, out: TextIO) -> int:
    """Run the program and return its exit status."""
    from galen.backends.emulator.clock import Clock  # noqa: PLC0415
    from galen.backends.emulator.process import emulate  # noqa: PLC0415
    from galen.backends.targets import find  # noqa: PLC0415

    target = find(arguments.cpu)
    process = emulate(target, arguments.program, root=arguments.root)
    clock, profile = Clock(target), process.profile(target)
    cycles = clock.cycles(profile)
    milliseconds = cycles / target.frequency_hz * 1e3
    if arguments.json:
        figures = {
            "cpu": target.name,
            "kind": "modelled",
            "model": clock.name,
            "instructions": profile.instructions,
            "cycles": cycles,
            "latency_ms": milliseconds,
            "status": process.status,
        }
        json.dump(figures, out)
        out.write("\n")
    else:
        out.write(f"{profile.instructions:,} instructions, {cycles:,.0f} cycles, {milliseconds:.3f} ms ")
        out.write(f"on {target.name} (modelled: {clock.name})\n")
    return process.status
