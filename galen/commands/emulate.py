"""galen emulate: time any AArch64 program with the clock that times models."""

import argparse
import json
from typing import TextIO

from galen.commands import options
from galen.edge import DONE, FAILED


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--cpu", required=True, metavar="CORE", help="an ARM target that `galen targets` lists")
    options.add_json(parser)
    parser.add_argument("program", nargs="+", metavar="PROGRAM", help="after --: what to run, with its arguments")


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Run the program to its end and print what it cost; 1 when the program itself failed."""
    from galen.backends.emulator.clock import Clock  # noqa: PLC0415
    from galen.backends.emulator.process import emulate  # noqa: PLC0415
    from galen.backends.targets import find  # noqa: PLC0415
    from galen.report.words import milliseconds, quantity  # noqa: PLC0415

    target = find(arguments.cpu)
    process = emulate(target, arguments.program)
    clock, profile = Clock(target), process.profile(target)
    cycles = clock.cycles(profile)
    latency = cycles / target.frequency_hz * 1e3
    if arguments.json:
        found = {"target": target.name, "kind": "modelled", "model": clock.name, "status": process.status}
        numbers = {"latency_ms": latency, "instructions": profile.instructions, "cycles": cycles}
        out.write(json.dumps(found | numbers) + "\n")
    else:
        counts = f"{quantity(profile.instructions)} instructions, {quantity(cycles)} cycles"
        out.write(f"{milliseconds(latency)} on {target.name} (modelled, {clock.name}): {counts}\n")
    return DONE if process.status == 0 else FAILED
