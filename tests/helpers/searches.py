"""A short search on handwritten digits, and what its journal says."""

import subprocess
import sys
from pathlib import Path

from galen.journal import Journal
from galen.objective import Objective
from galen.options import SearchOptions


def digits(repository: Path, folder: Path) -> SearchOptions:
    """Return the options of a search whose data and results are in `folder`."""
    subprocess.run([sys.executable, str(repository / "examples/digits/data.py"), str(folder)], check=True)
    return SearchOptions(
        model=repository / "examples/digits/digits.onnx",
        data=str(folder / "search.npz"),
        train_data=str(folder / "train.npz"),
        test_data=str(folder / "test.npz"),
        output=folder / "out",
        objective=Objective("60%"),
        episodes=4,
        seed=1,
    )


def command(options: SearchOptions, *flags: str) -> list[str]:
    """Return the command line of the search, with `flags` added."""
    return [
        *(sys.executable, "-c", "import sys; from galen.cli import main; sys.exit(main())", "search"),
        *(str(options.model), "--data", options.data, "--train-data", str(options.train_data)),
        *("--test-data", str(options.test_data), "-o", str(options.output), "--recover", options.recover),
        *("--max-latency", str(options.objective.max_latency), "--seed", str(options.seed)),
        *("--workers", options.workers, "--episodes", str(options.episodes), *flags),
    ]


def rows(folder: Path) -> list[tuple]:
    """Return all that a repeated search has to repeat."""
    with Journal.open(folder / "journal.db") as journal:
        return [(e.number, str(e.policy), e.outcome, e.met, e.reward, e.layers) for e in journal.episodes()]
