"""galen evaluate: score a model on data."""

import argparse
import json
from typing import TextIO

from galen.commands import options
from galen.edge import DONE


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    options.add_model(parser)
    add = parser.add_argument
    add("--data", required=True, metavar="D", help=".npz, folder of class folders, or module:function")
    add("--reference", metavar="R.onnx", help="the model to agree with where there are no labels")
    add("--metric", metavar="module:function", help="instead of top-1 or agreement")
    options.add_json(parser)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Evaluate and print."""
    from galen.api import evaluate  # noqa: PLC0415
    from galen.ir.io import load  # noqa: PLC0415
    from galen.ir.shapes import pin  # noqa: PLC0415

    model, shapes = load(arguments.model), options.shapes(arguments)
    if shapes:
        pin(model, shapes)
    score = evaluate(model, arguments.data, reference=arguments.reference, metric=arguments.metric)
    if arguments.json:
        text = json.dumps({"accuracy": score.accuracy, "samples": score.samples, "metric": score.metric})
    else:
        text = f"{score.accuracy:.4f} {score.metric} on {score.samples} samples"
    out.write(f"{text}\n")
    return DONE
