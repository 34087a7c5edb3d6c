"""galen report: write the page of a search, or compare several."""

import argparse
from pathlib import Path
from typing import TextIO

from galen.edge import DONE


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("folders", nargs="+", type=Path, metavar="OUTDIR", help="folders of searches")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.html",
        help="default: OUTDIR/report.html of one search, comparison.html of several")  # fmt: skip


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Write the page and say where it is."""
    from galen.journal import Journal  # noqa: PLC0415
    from galen.outputs import JOURNAL, REPORT  # noqa: PLC0415
    from galen.report.page import write  # noqa: PLC0415
    from galen.retell import run_of  # noqa: PLC0415

    runs = []
    for folder in arguments.folders:
        with Journal.open(folder / JOURNAL) as journal:
            runs.append(run_of(journal))
    several = Path("comparison.html")
    path = arguments.output or (arguments.folders[0] / REPORT if len(runs) == 1 else several)
    write(runs, path)
    out.write(f"{path}\n")
    return DONE
