"""galen measure: time one inference of a model on a target."""

import argparse
import json
from typing import TYPE_CHECKING, TextIO

from galen.commands import options
from galen.edge import DONE

if TYPE_CHECKING:
    from galen.measurement import Measurement


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    options.add_model(parser)
    options.add_target(parser)
    options.add_runner(parser)
    add = parser.add_argument
    add("--data", metavar="D", help="where the compared inputs come from; default: random")
    add("--runs", type=options.positive, default=10, metavar="N", help="measurements where time is real (default 10)")
    add("--per-layer", action="store_true", help="show every kernel call")
    options.add_seed(parser)
    options.add_json(parser)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Measure and print."""
    from galen.api import measure  # noqa: PLC0415
    from galen.ir.io import load  # noqa: PLC0415

    found = measure(
        load(arguments.model),
        arguments.target,
        data=arguments.data,
        where=options.runner(arguments),
        shapes=options.shapes(arguments),
        seed=arguments.seed,
    )
    if arguments.json:
        out.write(json.dumps(found.to_json()) + "\n")
    else:
        _show(found, arguments.per_layer, out)
    return DONE


def _show(found: "Measurement", per_layer: bool, out: TextIO) -> None:
    from galen.report.words import milliseconds, quantity  # noqa: PLC0415

    latency = found.latency
    clock = f", {latency.model}" if latency.model else ""
    out.write(f"{milliseconds(latency.median)} per inference on {found.target} ({latency.kind}{clock})\n")
    if latency.runs > 1:
        spread = f"{milliseconds(latency.p10)} to {milliseconds(latency.p90)}"
        out.write(f"10th to 90th percentile of {latency.runs} runs: {spread}\n")
    if latency.instructions is not None:
        out.write(f"{quantity(latency.instructions)} instructions, {quantity(latency.cycles or 0)} cycles\n")
    out.write(f"largest difference to onnxruntime: {found.max_abs_error:.3g}\n")
    if per_layer:
        width = max((len(layer.name) for layer in latency.layers), default=0)
        for layer in latency.layers:
            counted = "" if layer.instructions is None else f"{layer.instructions:>12,}"
            time = f"{layer.latency_ms:10.4f} ms"
            out.write(f"{layer.name:<{width}}  {layer.op:<18} {layer.kernel:<24}{time}{counted} {layer.macs:>14,}\n")
