"""Searchers at equal evaluations: best accuracy, hypervolume, seconds; mean and standard deviation over seeds.

python benchmarks/search_resnet20.py MODEL.onnx --data VAL.npz --train-data TRAIN.npz --out DIR
    [--agents joint,random] [--max-latency 50%,35%] [--episodes 150] [--seeds 3] [--processes 2] …

Searches that DIR holds already are not run again: called twice, it goes on where it was broken off, and prints the
table of what is there. `seconds` and `overhead` (all of an episode but accuracy and recovery) are processor-bound: with
more than one process, each has a core of its own.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from galen.agents.searcher import Outcome
from galen.driver import search
from galen.journal import Journal
from galen.objective import Objective
from galen.options import SearchOptions
from galen.outputs import JOURNAL
from galen.pareto import hypervolume


@dataclass(frozen=True)
class Row:
    """What a search came to; `share` of the original's latency, `overhead` in seconds per episode at the median."""

    accuracy: float
    share: float
    met: bool
    volume: float
    seconds: float
    overhead: float


def options(arguments: argparse.Namespace, agent: str, bound: str, seed: int) -> SearchOptions:
    return SearchOptions(
        model=arguments.model,
        data=arguments.data,
        train_data=arguments.train_data,
        output=arguments.out / f"{agent}-{bound.rstrip('%')}-{seed}",
        agent=agent,
        objective=Objective(bound),
        episodes=arguments.episodes,
        recover=arguments.recover,
        warm_start=arguments.warm_start,
        seed=seed,
    )


def run(task: SearchOptions) -> Row:
    """Search, or go on, or read what an earlier call found."""
    path = task.output / JOURNAL
    if not path.exists() or not _is_done(path):
        search(SearchOptions(**{**vars(task), "resume": path.exists()}))
    with Journal.open(path) as journal:
        return row(journal)


def _is_done(path: Path) -> bool:
    with Journal.open(path) as journal:
        return bool(journal.fact("finished"))


def row(journal: Journal) -> Row:
    result, episodes = journal.fact("result"), journal.episodes()
    before, best = result["baseline"], result["best"]
    baseline = Outcome(before["accuracy"], before["latency_ms"], before["bytes"])
    overheads = [sum(s for phase, s in e.seconds.items() if phase not in ("accuracy", "recover")) for e in episodes]
    return Row(
        accuracy=best["accuracy"],
        share=best["latency_ms"] / before["latency_ms"],
        met=result["met"],
        volume=hypervolume([episode.outcome for episode in episodes], baseline),
        seconds=result["seconds"],
        overhead=float(np.median(overheads)),
    )


def table(bound: str, rows: dict[str, list[Row]]) -> Table:
    shown = Table("agent", "accuracy", "latency", "met", "hypervolume", "seconds", "overhead", title=f"within {bound}")
    for agent, found in rows.items():
        accuracies, volumes = [row.accuracy for row in found], [row.volume for row in found]
        shown.add_row(
            agent,
            f"{np.mean(accuracies):.4f} ± {np.std(accuracies):.4f}",
            f"{np.mean([row.share for row in found]):.1%}",
            f"{sum(row.met for row in found)} of {len(found)}",
            f"{np.mean(volumes):.4f} ± {np.std(volumes):.4f}",
            f"{np.mean([row.seconds for row in found]):.0f}",
            f"{np.mean([row.overhead for row in found]):.2f} s",
        )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--train-data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--agents", default="joint,random")
    parser.add_argument("--max-latency", default="50%,35%")
    parser.add_argument("--episodes", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--recover", default="statistics")
    parser.add_argument("--warm-start", default="knapsack")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    agents, bounds = arguments.agents.split(","), arguments.max_latency.split(",")
    seeds = range(arguments.seeds)
    tasks = [options(arguments, agent, bound, seed) for seed, bound, agent in product(seeds, bounds, agents)]
    if arguments.processes > 1:
        os.environ["OMP_NUM_THREADS"] = "1"  # inherited: as many cores as processes, none of them shared
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        found = dict(zip(product(seeds, bounds, agents), pool.map(run, tasks), strict=True))
    for bound in bounds:
        Console().print(table(bound, {agent: [found[seed, bound, agent] for seed in seeds] for agent in agents}))


if __name__ == "__main__":
    main()
