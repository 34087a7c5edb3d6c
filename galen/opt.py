"""`galen-opt`: apply passes to an ONNX file, a filter in the manner of mlir-opt. Only argparse is imported at once."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from galen.edge import DONE, Parser, run

if TYPE_CHECKING:
    from galen.ir import Model
    from galen.ir.shapes import Shapes
    from galen.passes.base import Pass
    from galen.passes.composite import Report
    from galen.passes.pipeline import Pipeline
    from galen.passes.watch import Watcher


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 bad input, 2 bad usage, 130 interrupted."""
    return run(_parser(), argv, _command)


def _parser() -> Parser:
    parser = Parser(prog="galen-opt", description="Apply passes to an ONNX model.")
    add = parser.add_argument
    add("input", nargs="?", metavar="IN.onnx", help="the model; - is standard input")
    add("-o", "--output", metavar="OUT.onnx", help="where to write the model; - is standard output; default: nowhere")
    add("-p", "--passes", action="append", default=[], metavar="TEXT",
        help="passes, such as 'simplify,prune{sparsity=0.5}', or @FILE")  # fmt: skip
    add("--data", metavar="D", help=".npz file, folder of class folders, or module:function")
    add("--train-data", metavar="D", help="data to calibrate and recover with; default: --data")
    add("--shape", action="append", default=[], metavar="NAME=1x3x32x32", help="numbers for a dynamic input")
    add("--target", metavar="T", help="prune to channel counts that this target runs well; see `galen targets`")
    add("--seed", type=_seed, default=0, metavar="N", help="where random draws start (default 0)")
    add("--verify-each", action="store_true", help="check the model after every pass, and run it")
    add("--print-before", action="append", default=[], metavar="NAME", help="show the model before a pass")
    add("--print-after", action="append", default=[], metavar="NAME", help="show the model after a pass")
    add("--print-after-all", action="store_true", help="show the model after every pass")
    add("--stop-after", metavar="NAME", help="stop after the first pass of that name")
    add("--bisect", action="store_true", help="find the first pass that changes the outputs beyond its tolerance")
    add("--explain", action="store_true", help="say what each pass does and why")
    add("--timing", action="store_true", help="show the seconds of each pass")
    add("--stats", action="store_true", help="show parameters, MACs, BOPs, bytes and nodes before and after")
    add("--json", action="store_true", help="write --stats as JSON")
    add("--list-passes", action="store_true", help="list all passes and exit")
    add("--help-pass", metavar="NAME", help="describe a pass and exit")
    parser.add_common()
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _command(arguments: argparse.Namespace, out: TextIO) -> int:
    from galen.passes import help as pass_help  # noqa: PLC0415

    if arguments.list_passes:
        out.write(pass_help.listing())
    elif arguments.help_pass is not None:
        out.write(pass_help.describe(arguments.help_pass))
    else:
        _transform(arguments, out)
    return DONE


def _transform(arguments: argparse.Namespace, out: TextIO) -> None:
    from galen.ir import UsageError  # noqa: PLC0415
    from galen.ir.costs import costs  # noqa: PLC0415
    from galen.ir.files import STANDARD_STREAM, check_target  # noqa: PLC0415
    from galen.ir.io import load, save  # noqa: PLC0415
    from galen.ir.shapes import parse_shape  # noqa: PLC0415
    from galen.ir.verify import blamed  # noqa: PLC0415

    if arguments.input is None:
        raise UsageError("no input model", hint="galen-opt IN.onnx …; see galen-opt --help")
    pipeline = _pipeline(arguments)
    shapes = dict(map(parse_shape, arguments.shape))
    if arguments.output is not None:
        check_target(arguments.output)
    model = load(arguments.input)
    pipeline = pipeline.bind(**_resources(arguments, model, shapes))
    with blamed(model):
        before = costs(model, shapes) if arguments.stats else None
        report = pipeline.run(model, _watchers(arguments, model, shapes))
        after = costs(model, shapes) if arguments.stats else None
    if arguments.output is not None:
        save(model, out.buffer if arguments.output == STANDARD_STREAM else arguments.output)
    notes = sys.stderr if arguments.output == STANDARD_STREAM else out
    if before is not None and after is not None:
        _write_stats(vars(before), vars(after), report, notes, arguments.json)
    if arguments.bisect:
        sys.stderr.write("bisect: every pass keeps the outputs within its tolerance\n")
    if arguments.timing:
        _write_timing(report, sys.stderr)


def _pipeline(arguments: argparse.Namespace) -> "Pipeline":
    from galen.ir.files import readable  # noqa: PLC0415
    from galen.passes.pipeline import Pipeline  # noqa: PLC0415

    passes: list[Pass] = []
    for text in arguments.passes:
        content = text
        if text.startswith("@"):
            path = Path(text[1:])
            with readable(path):
                content = path.read_text(encoding="utf-8", errors="replace")
        passes += Pipeline.parse(content).passes
    pipeline = Pipeline(tuple(passes))
    for name in (*arguments.print_before, *arguments.print_after):
        pipeline.require(name)
    return pipeline.until(arguments.stop_after) if arguments.stop_after is not None else pipeline


def _resources(arguments: argparse.Namespace, model: "Model", shapes: "Shapes") -> dict[str, Any]:
    """Return what passes may ask for in their bound fields."""
    from galen.ir.dataset import open_dataset  # noqa: PLC0415

    given = {"data": arguments.data, "train_data": arguments.train_data}
    found: dict[str, Any] = {name: open_dataset(spec, model) for name, spec in given.items() if spec is not None}
    if arguments.target is not None:
        from galen.backends.targets import find  # noqa: PLC0415

        found["limits"] = find(arguments.target).limits
    return {**found, "seed": arguments.seed, "shapes": shapes}


def _watchers(arguments: argparse.Namespace, model: "Model", shapes: "Shapes") -> list["Watcher"]:
    import numpy as np  # noqa: PLC0415

    from galen.ir.execute import random_inputs  # noqa: PLC0415
    from galen.ir.verify import custom_operators  # noqa: PLC0415
    from galen.passes.bisect import Bisect  # noqa: PLC0415
    from galen.passes.watch import Explainer, Printer, Verifier  # noqa: PLC0415

    after = None if arguments.print_after_all else frozenset(arguments.print_after)
    watchers: list[Watcher] = [Printer(sys.stderr, before=frozenset(arguments.print_before), after=after)]
    if arguments.explain:
        watchers.append(Explainer(sys.stderr))
    if not (arguments.verify_each or arguments.bisect):
        return watchers
    inputs = None
    if unknown := custom_operators(model):
        sys.stderr.write(f"galen-opt: warning: not run, only checked: {unknown[0]} is a custom operator\n")
    else:
        inputs = random_inputs(model, np.random.default_rng(arguments.seed), shapes)
    if arguments.verify_each:
        watchers.append(Verifier(inputs, shapes))
    elif inputs is not None:
        watchers.append(Bisect(inputs))
    return watchers


def _write_stats(before: dict[str, int], after: dict[str, int], report: "Report", out: TextIO, as_json: bool) -> None:
    if as_json:
        passes = [vars(step) for step in report.steps]
        json.dump({"before": before, "after": after, "passes": passes}, out)
        out.write("\n")
        return
    out.write(f"{'':12}{'before':>18}{'after':>18}{'after/before':>14}\n")
    for name, old in before.items():
        ratio = f"{after[name] / old:.3f}" if old else "-"
        out.write(f"{name:12}{old:18,}{after[name]:18,}{ratio:>14}\n")


def _write_timing(report: "Report", out: TextIO) -> None:
    for step in report.steps:
        out.write(f"{step.seconds:9.3f} s  {step.name}{'' if step.changed else ' (no change)'}\n")
    out.write(f"{sum(step.seconds for step in report.steps):9.3f} s  total\n")


if __name__ == "__main__":
    raise SystemExit(main())
