"""galen report: draw the page of one search, or compare several."""

import argparse
from pathlib import Path
from typing import TextIO

from galen.edge import DONE, Parser


def add_arguments(parser: Parser) -> None:
    """Describe the command line."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="OUTDIR", help="what searches left")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.html",
                        help="default: report.html in the folder, comparison.html beside several")  # fmt: skip


def execute(arguments: argparse.Namespace, out: TextIO) -> int:
    """Write the page."""
    from galen.ir import GalenError  # noqa: PLC0415
    from galen.journal import Journal  # noqa: PLC0415
    from galen.outputs import JOURNAL, REPORT  # noqa: PLC0415
    from galen.report.page import write  # noqa: PLC0415
    from galen.retell import run_of  # noqa: PLC0415

    runs = []
    for folder in arguments.folders:
        if not (folder / JOURNAL).is_file():
            raise GalenError("no search has been here", where=str(folder), hint=f"it holds no {JOURNAL}")
        with Journal.open(folder / JOURNAL) as journal:
            runs.append(run_of(journal))
    single = len(runs) == 1
    path = arguments.output or (arguments.folders[0] / REPORT if single else Path("comparison.html"))
    write(runs, path)
    out.write(f"{path}\n")
    return DONE
