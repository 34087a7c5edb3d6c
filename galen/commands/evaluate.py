"""galen evaluate: score a model on data."""

import argparse
import json
from typing import TextIO

from galen.commands import common
from galen.edge import DONE, Parser


def add_arguments(parser: Parser) -> None:
    """Describe the command line."""
    common.add_model(parser)
    parser.add_argument("--data", required=True, metavar="D", help=".npz, folder of class folders, or module:function")
    parser.add_argument("--reference", metavar="R.onnx", help="model to agree with, for data without labels")
    parser.add_argument("--metric", metavar="MODULE:FUNCTION", help="your own metric instead of top-1 or agreement")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def execute(arguments: argparse.Namespace, out: TextIO) -> int:
    """Score the model."""
    from galen.backends.accuracy import Accuracy  # noqa: PLC0415
    from galen.ir.dataset import open_dataset  # noqa: PLC0415
    from galen.ir.io import load  # noqa: PLC0415

    model = load(arguments.model)
    reference = load(arguments.reference) if arguments.reference else None
    samples = open_dataset(arguments.data, model)
    score = Accuracy(samples, reference=reference, metric=arguments.metric)(model)
    if arguments.json:
        json.dump({"accuracy": score.accuracy, "samples": score.samples, "metric": score.metric}, out)
        out.write("\n")
    else:
        out.write(f"{score.metric} {score.accuracy:.4f} on {score.samples:,} samples\n")
    return DONE
