"""galen search: find the best compressed model for a target, within a latency or above an accuracy."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from galen.commands import common
from galen.edge import Parser

if TYPE_CHECKING:
    from galen.options import SearchOptions


def add_arguments(parser: Parser) -> None:
    """Describe the command line."""
    common.add_model(parser)
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="OUTDIR", help="folder for everything that is found")
    add("--data", required=True, metavar="D", help="what rewards and choices use: .npz, folder, or module:function")
    add("--train-data", metavar="D2", help="what calibrates, recovers and fine-tunes; default: --data")
    add("--test-data", metavar="D3", help="only reported")
    add("--agent", default="joint", metavar="A",
        help="joint, prune, quantize; random, uniform, evolutionary, bayesian, gaussian, knapsack (joint)")  # fmt: skip
    add("--max-latency", metavar="L", help="25%% of the fp32 build's latency, or 4.2ms; default without a bound: 50%%")
    add("--min-accuracy", metavar="A", help="=0.91, or relative to the original: =-0.005")
    add("--episodes", type=common.whole(1), metavar="N", help="policies to evaluate (150, unlimited with a budget)")
    add("--time-budget", type=common.duration, metavar="30m", help="time for the episodes")
    add("--recover", default="statistics", metavar="R", help="none, statistics or steps:N, before accuracy counts")
    add("--finetune-epochs", type=common.whole(0), default=0, metavar="N", help="epochs for the winner (0)")
    add("--criterion", default="l1", metavar="C", help="which channels go first (l1)")
    add("--subset", type=common.whole(1), default=1000, metavar="N", help="samples that score a candidate (1000)")
    add("--warm-start", default="knapsack", metavar="W", help="knapsack, none, or the folder of a search (knapsack)")
    add("--reward", metavar="R", help="of the learning agents: r3 to r7, or their own")
    add("--faithful", action="store_true", help="the published constants and network sizes")
    add("--metric", metavar="MODULE:FUNCTION", help="your own metric instead of top-1 or agreement")
    add("--workers", type=common.whole(1), default=1, metavar="N", help="processes that evaluate (1)")
    add("--resume", action="store_true", help="go on with the search in OUTDIR")
    common.add_target(parser)
    common.add_runner(parser)
    common.add_output_form(parser)


def execute(arguments: argparse.Namespace, out: TextIO) -> int:
    """Search, showing progress on a terminal, and print what came of it."""
    from galen.progress import watching  # noqa: PLC0415
    from galen.search import search  # noqa: PLC0415

    options = _options(arguments)
    with watching(quiet=arguments.json) as watcher:
        result = search(options, watcher)
    if arguments.json:
        json.dump(result.to_json(), out)
        out.write("\n")
    else:
        from galen.table import summary  # noqa: PLC0415

        out.write(summary(result, options))
    return result.exit_code


def _options(arguments: argparse.Namespace) -> "SearchOptions":
    from galen.objective import Objective  # noqa: PLC0415
    from galen.options import SearchOptions  # noqa: PLC0415

    return SearchOptions(
        model=arguments.model,
        data=arguments.data,
        output=arguments.output,
        train_data=arguments.train_data,
        test_data=arguments.test_data,
        agent=arguments.agent,
        objective=Objective.parse(arguments.max_latency, arguments.min_accuracy),
        episodes=arguments.episodes,
        time_budget=arguments.time_budget,
        target=arguments.target,
        runner=arguments.runner,
        threads=arguments.threads,
        shapes=common.shapes(arguments),
        metric=arguments.metric,
        recover=arguments.recover,
        finetune_epochs=arguments.finetune_epochs,
        criterion=arguments.criterion,
        subset=arguments.subset,
        warm_start=arguments.warm_start,
        reward=arguments.reward,
        faithful=arguments.faithful,
        workers=arguments.workers,
        seed=arguments.seed,
        resume=arguments.resume,
    )
