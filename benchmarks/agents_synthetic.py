"""All searchers on a synthetic separable problem with known optimum, at equal evaluations.

python benchmarks/agents_synthetic.py [--evaluations 60] [--seeds 5]
"""

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table

from galen.agents.catalogue import NAMES, make
from galen.agents.problem import Problem
from galen.agents.searcher import Outcome, Searcher
from galen.agents.synthetic import Separable

SHARE = 0.4


def best_accuracy(toy: Separable, problem: Problem, searcher: Searcher, evaluations: int) -> float:
    best: Outcome | None = None
    for _ in range(evaluations):
        policy = searcher.ask()
        outcome = toy.evaluate(policy)
        searcher.tell(policy, outcome)
        if best is None or problem.goal.rank(outcome) < problem.goal.rank(best):
            best = outcome
    return best.accuracy if best is not None and problem.goal.met(best) else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    toys = [Separable.draw(seed) for seed in range(arguments.seeds)]
    problems = [toy.problem(seed, SHARE) for seed, toy in enumerate(toys)]
    table = Table("searcher", "best accuracy, mean", "standard deviation", "gap to the optimum")
    optimum = np.array([toy.optimum(problem) for toy, problem in zip(toys, problems, strict=True)])
    table.add_row("optimum", f"{optimum.mean():.4f}", f"{optimum.std():.4f}", "0")
    for name in (*NAMES, "joint, published constants"):
        kind, _, published = name.partition(", ")
        found = np.array(
            [
                best_accuracy(toy, problem, make(kind, problem, faithful=bool(published)), arguments.evaluations)
                for toy, problem in zip(toys, problems, strict=True)
            ]
        )
        table.add_row(name, f"{found.mean():.4f}", f"{found.std():.4f}", f"{(optimum - found).mean():.4f}")
    Console().print(table)


if __name__ == "__main__":
    main()
