"""Short searches, and what their journals say."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from onnx_text import model

from galen.ir.io import save
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


TINY = """g (float[1,4,8,8] x) => (float[1,4] y)
    <float[16,4,3,3] first, float[16,16,3,3] second, float[16,4] last, int64[2] flat = {1, 16}> {
    a = Conv<pads = [1, 1, 1, 1]>(x, first)
    b = Relu(a)
    c = Conv<pads = [1, 1, 1, 1]>(b, second)
    d = Relu(c)
    e = GlobalAveragePool(d)
    f = Reshape(e, flat)
    y = MatMul(f, last)
}"""


def tiny(folder: Path) -> SearchOptions:
    """Return the options of a search that takes seconds: two random convolutions, to agree with on noise."""
    save(model(TINY), folder / "tiny.onnx")
    np.savez(folder / "noise.npz", x=np.random.default_rng(0).standard_normal((300, 4, 8, 8)).astype(np.float32))
    return SearchOptions(
        model=folder / "tiny.onnx",
        data=str(folder / "noise.npz"),
        train_data=str(folder / "noise.npz"),
        output=folder / "out",
        objective=Objective("60%"),
        episodes=6,
        agent="random",
        recover="none",
        warm_start="none",
    )


def command(options: SearchOptions, *flags: str) -> list[str]:
    """Return the command line of the search, with `flags` added."""
    return [
        *(sys.executable, "-c", "import sys; from galen.cli import main; sys.exit(main())", "search"),
        *(str(options.model), "--data", options.data, "--train-data", str(options.train_data)),
        *(
            "-o",
            str(options.output),
            "--agent",
            options.agent,
            "--recover",
            options.recover,
            "--warm-start",
            options.warm_start,
        ),
        *("--max-latency", str(options.objective.max_latency), "--seed", str(options.seed)),
        *("--workers", options.workers, "--episodes", str(options.episodes), *flags),
    ]


def rows(folder: Path) -> list[tuple]:
    """Return all that a repeated search has to repeat."""
    with Journal.open(folder / "journal.db") as journal:
        return [(e.number, str(e.policy), e.outcome, e.met, e.reward, e.layers) for e in journal.episodes()]


def started(options: SearchOptions) -> "subprocess.Popen[bytes]":
    """Start a search that Ctrl-C stops, also where the tests themselves run in the background and ignore it."""
    quiet = subprocess.DEVNULL
    heeds = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command(options), stdout=quiet, stderr=quiet, preexec_fn=heeds)  # noqa: PLW1509


@contextmanager
def running(options: SearchOptions) -> Iterator["subprocess.Popen[bytes]"]:
    """Lend a search that runs, and end it."""
    process = started(options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(condition: Callable[[], bool], seconds: float = 600) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
