"""fp32 against int8 on networks in the style of known families: modelled milliseconds, and where int8 spends them.

    python benchmarks/int8_families.py [--cores cortex-a72 neoverse-n1] [FAMILY ...]

Small networks with random weights, batch 1, one thread. `layers` is the share of the int8 time in convolutions and
products of integers; the rest goes into what stands between them, and into what stays in fp32.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

import families

from galen.backends.lower import lower
from galen.backends.runner import EmulatorRunner
from galen.backends.target import Target
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.io import load
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.quantize import Quantize
from galen.passes.simplify import Simplify


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=list(families.KNOWN))
    parser.add_argument("--cores", nargs="+", default=["cortex-a72", "neoverse-n1"])
    args = parser.parse_args()
    print("| family | core | fp32 ms | int8 ms | int8 / fp32 | layers |\n|---|---|---|---|---|---|")
    for name in args.families:
        data = families.export(name)
        for core in map(find, args.cores):
            print(f"| {name} | {core.name} | {row(data, core)} |", flush=True)


def row(data: bytes, core: Target) -> str:
    model = plain(data)
    whole = EmulatorRunner(core).latency(lower(model, core)).median
    Quantize(calibration="random").apply(model)
    latency = EmulatorRunner(core).latency(lower(model, core))
    layers = sum(part.latency_ms for part in latency.layers if part.macs and part.kernel.startswith("int8"))
    ratio = latency.median / whole
    return f"{whole:.3f} | {latency.median:.3f} | {ratio:.2f} | {layers / latency.median:.0%}"


def plain(data: bytes) -> Model:
    model = load(data)
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    return model


if __name__ == "__main__":
    main()
