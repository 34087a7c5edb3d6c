"""galen search: find the best compression of a model for a target."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from galen.commands import options

if TYPE_CHECKING:
    from galen.options import SearchOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    options.add_model(parser)
    options.add_target(parser)
    options.add_runner(parser)
    add = parser.add_argument
    add("-o", "--output", required=True, type=Path, metavar="OUTDIR", help="folder for the results; must not exist")
    add(
        "--data", required=True, metavar="D", help="rewards and choices: .npz, folder of class folders, module:function"
    )
    add("--train-data", metavar="D", help="calibration and recovery; default: --data")
    add("--test-data", metavar="D", help="only reported, never used for a choice")
    add("--metric", metavar="module:function", help="instead of top-1 accuracy")
    add("--agent", default="joint", metavar="A",
        help="joint, prune, quantize, random, uniform, evolutionary, bayesian, gaussian or knapsack")  # fmt: skip
    add("--max-latency", metavar="25%|4.2ms", help="of the fp32 build of the input, or absolute")
    add("--min-accuracy", metavar="A", help="a share of 1 as 0.91; below the original as -0.005")
    add(
        "--episodes",
        type=options.positive,
        metavar="N",
        help="policies to evaluate (default 150 without a time budget)",
    )
    add("--time-budget", type=options.duration, metavar="30m", help="time for the episodes, over all runs")
    add("--recover", default="reconstruct", metavar="R",
        help="repair before scoring: none, statistics, reconstruct (default), steps:N")  # fmt: skip
    add("--finetune-epochs", type=options.natural, default=0, metavar="N", help="of the winner (default 0)")
    add("--augment", action="store_true",
        help="shift and mirror images in fine-tuning: where a mirrored one means the same")  # fmt: skip
    add("--criterion", default="activation", metavar="C", help="which channels go first (default activation)")
    add(
        "--subset",
        type=options.positive,
        default=1000,
        metavar="N",
        help="samples that score an episode (default 1000)",
    )
    add("--warm-start", default="knapsack", metavar="W", help="none, knapsack (default) or the folder of a search")
    add("--reward", metavar="R", help="reward of a learning agent, r3 to r7; default: its own")
    add("--faithful", action="store_true", help="the published constants and network sizes")
    add("--workers", default="1", metavar="N",
        help="processes that evaluate candidates (default 1: this one); N@ray://HOST:PORT: on Ray")  # fmt: skip
    add("--resume", action="store_true", help="go on with the search in OUTDIR")
    options.add_seed(parser)
    options.add_json(parser)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Search, show progress on standard error, and print the result."""
    from galen.commands.progress import table, watcher  # noqa: PLC0415
    from galen.driver import search  # noqa: PLC0415

    with watcher() as watch:
        result = search(_options(arguments), watch)
    if arguments.json:
        out.write(json.dumps(result.to_json()) + "\n")
    else:
        out.write(table(result, arguments.output))
    return result.exit_code


def _options(arguments: argparse.Namespace) -> "SearchOptions":
    from galen.objective import Objective  # noqa: PLC0415
    from galen.options import SearchOptions  # noqa: PLC0415

    same = (
        *("data", "output", "train_data", "test_data", "metric", "agent", "episodes", "time_budget", "target"),
        *("recover", "finetune_epochs", "augment", "criterion", "subset", "warm_start", "reward", "faithful"),
        "workers",
        *("seed", "resume"),
    )
    return SearchOptions(
        model=Path(arguments.model),
        objective=Objective.parse(arguments.max_latency, arguments.min_accuracy),
        shapes=options.shapes(arguments),
        runner=options.runner(arguments),
        **{name: getattr(arguments, name) for name in same},
    )
