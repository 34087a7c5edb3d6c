"""Searchers on ResNet-20 at equal evaluations: best accuracy, hypervolume, seconds; mean and spread over seeds.

python benchmarks/search_resnet20.py MODEL.onnx --data VAL.npz --train-data TRAIN.npz --out DIR
    [--agents joint,random] [--episodes 60] [--seeds 3] [--max-latency 35%] [--finetune-epochs 0] [--test-data TEST.npz]
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from galen.driver import search
from galen.journal import Journal
from galen.objective import Objective
from galen.options import SearchOptions
from galen.outputs import JOURNAL
from galen.pareto import hypervolume
from galen.result import SearchResult


def run(arguments: argparse.Namespace, agent: str, seed: int) -> tuple[SearchResult, float, float]:
    """Return the result, the hypervolume, and the median seconds of an episode without accuracy and recovery."""
    options = SearchOptions(
        model=arguments.model,
        data=arguments.data,
        train_data=arguments.train_data,
        test_data=arguments.test_data,
        output=arguments.out / f"{agent}-{seed}",
        agent=agent,
        objective=Objective(arguments.max_latency),
        episodes=arguments.episodes,
        finetune_epochs=arguments.finetune_epochs,
        recover=arguments.recover,
        warm_start=arguments.warm_start,
        seed=seed,
    )
    result = search(options)
    with Journal.open(options.output / JOURNAL) as journal:
        episodes = journal.episodes()
    overhead = [sum(s for phase, s in e.seconds.items() if phase not in ("accuracy", "recover")) for e in episodes]
    return result, hypervolume([e.outcome for e in episodes], result.baseline), float(np.median(overhead))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--train-data", required=True)
    parser.add_argument("--test-data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--agents", default="joint,random")
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--max-latency", default="35%")
    parser.add_argument("--finetune-epochs", type=int, default=0)
    parser.add_argument("--recover", default="statistics")
    parser.add_argument("--warm-start", default="knapsack")
    arguments = parser.parse_args()
    table = Table("agent", "accuracy", "latency", "met", "hypervolume", "seconds", "overhead per episode")
    for agent in arguments.agents.split(","):
        runs = [run(arguments, agent, seed) for seed in range(arguments.seeds)]
        accuracy = np.array([result.best.accuracy for result, _, _ in runs])
        share = np.array([result.best.latency_ms / result.baseline.latency_ms for result, _, _ in runs])
        table.add_row(
            agent,
            f"{accuracy.mean():.4f} ± {accuracy.std():.4f}",
            f"{share.mean():.1%}",
            f"{sum(result.met for result, _, _ in runs)} of {len(runs)}",
            f"{np.mean([area for _, area, _ in runs]):.4f}",
            f"{np.mean([result.seconds for result, _, _ in runs]):.0f}",
            f"{np.mean([overhead for _, _, overhead in runs]):.2f} s",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
