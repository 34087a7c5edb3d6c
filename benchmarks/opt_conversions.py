"""`convert-opset` and `cast-fp16` on every network: what becomes of the outputs.

    python benchmarks/opt_conversions.py --data DIR [--only PART]

Outputs are compared in onnxruntime, without its optimizations, as the largest difference relative to the largest
magnitude. `refused` is Galen's own message.
"""

import argparse
import sys
from pathlib import Path

from opt_abilities import cases, prepared
from opt_models import Case

from galen.ir import GalenError
from galen.ir.execute import run
from galen.passes.pipeline import Pipeline
from galen.passes.watch import largest_change

NEWEST = 26
"""What onnxruntime runs."""

CONVERSIONS = {
    **{f"convert-opset{{version={version}}}": 1e-5 for version in (11, 13, 17, 21, NEWEST)},
    "cast-fp16": 2e-2,
}
"""Passes and the largest change of an output that counts as equal: fp16 has 11 bits, and errors add up."""


def verdict(case: Case, text: str, tolerance: float) -> str:
    """Return what the pass did to the outputs."""
    network = prepared(case)
    expected = run(network.model, network.inputs, optimize=False)
    try:
        Pipeline.parse(text).apply(network.model)
        outputs = run(network.model, network.inputs, optimize=False)
    except GalenError as error:
        return f"refused: {error}"
    name, change = largest_change(expected, outputs)
    return f"ok {change:.1e}" if change <= tolerance else f"output {name} changed by {change:.1e}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with models/")
    parser.add_argument("--only", default="", help="part of a name")
    arguments = parser.parse_args()
    bad = 0
    for case in cases(arguments.data):
        if arguments.only in case.name:
            print(case.name)
            for text, tolerance in CONVERSIONS.items():
                result = verdict(case, text, tolerance)
                bad += not result.startswith("ok")
                print(f"  {text:28} {result}", flush=True)
    print(f"{bad} not ok")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
