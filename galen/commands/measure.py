"""galen measure: time a model on the target, and compare what it computes there with onnxruntime."""

import argparse
import json
from typing import TYPE_CHECKING, TextIO

from galen.commands import common
from galen.edge import DONE, Parser

if TYPE_CHECKING:
    import numpy as np

    from galen.ir import Model
    from galen.measurement import Measurement


def add_arguments(parser: Parser) -> None:
    """Describe the command line."""
    common.add_model(parser)
    parser.add_argument("--data", metavar="D", help="its first sample is the input; default: random numbers")
    parser.add_argument("--runs", type=common.whole(5), metavar="N", help="measurements, where time is measured")
    parser.add_argument("--per-layer", action="store_true", help="show every kernel")
    common.add_target(parser)
    common.add_runner(parser)
    common.add_output_form(parser)


def execute(arguments: argparse.Namespace, out: TextIO) -> int:
    """Time the model."""
    from galen.backends.targets import find  # noqa: PLC0415
    from galen.ir.io import load  # noqa: PLC0415
    from galen.measurement import measure  # noqa: PLC0415

    model, shapes, target = load(arguments.model), common.shapes(arguments), find(arguments.target)
    runner = common.runner(arguments, target)
    result = measure(model, target, runner, _inputs(arguments, model), shapes)
    if arguments.json:
        json.dump(result.to_json(), out)
        out.write("\n")
    else:
        _print(result, arguments.per_layer, out)
    return DONE


def _inputs(arguments: argparse.Namespace, model: "Model") -> "dict[str, np.ndarray]":
    import numpy as np  # noqa: PLC0415

    from galen.ir.dataset import open_dataset  # noqa: PLC0415
    from galen.ir.execute import random_inputs  # noqa: PLC0415
    from galen.ir.shapes import input_shapes  # noqa: PLC0415

    shapes = common.shapes(arguments)
    if arguments.data is None:
        return random_inputs(model, np.random.default_rng(arguments.seed), shapes)
    wanted = input_shapes(model, shapes)
    batch = next(iter(open_dataset(arguments.data, model).batches(max(s[0] for s in wanted.values() if s))))
    return {name: np.ascontiguousarray(batch.inputs[name]) for name in wanted}


def _print(result: "Measurement", per_layer: bool, out: TextIO) -> None:
    latency = result.latency
    if per_layer:
        out.write(f"{'ms':>9} {'instructions':>13} {'per MAC':>8}  {'kernel':14} {'operator':18} layer\n")
        for layer in latency.layers:
            count = "-" if layer.instructions is None else f"{layer.instructions:,}"
            ratio = f"{layer.instructions / layer.macs:.3f}" if layer.macs and layer.instructions else "-"
            out.write(f"{layer.latency_ms:9.4f} {count:>13} {ratio:>8}  {layer.kernel:14} {layer.op:18} {layer.name}\n")
    spread = f" ({latency.p10:.4f} to {latency.p90:.4f}, {latency.runs} runs)" if latency.runs > 1 else ""
    source = f"{latency.kind}: {latency.model}" if latency.model else latency.kind
    out.write(f"{latency.median:.4f} ms{spread} on {result.target}, {source}\n")
    if latency.instructions is not None and latency.cycles is not None:
        out.write(f"{latency.instructions:,} instructions, {latency.cycles:,.0f} cycles\n")
    out.write(f"largest difference to onnxruntime: {result.max_abs_error:.3g}\n")
