"""What ordering instructions for a core is worth: a network's kernels, compiled for several cores, timed on one.

    python benchmarks/core_order.py MODEL.onnx [--cores cortex-a53 cortex-a55] [--compiled-for generic cortex-a72]

The kernels are the same; LLVM schedules their instructions by the core that it compiles for. Modelled cycles.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from galen.backends.lower import lower
from galen.backends.runner import EmulatorRunner
from galen.backends.targets import find
from galen.ir.io import load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--cores", nargs="+", default=["cortex-a53", "cortex-a55"])
    parser.add_argument("--compiled-for", nargs="+", default=["generic", "cortex-a72"])
    args = parser.parse_args()
    model = load(args.model)
    print(f"{'core':12s} {'compiled for':14s} {'instructions':>14s} {'cycles':>12s}")
    for core in args.cores:
        for cpu in (*args.compiled_for, core):
            target = replace(find(core), cpu=cpu)
            latency = EmulatorRunner(target).latency(lower(model, target))
            print(f"{core:12s} {cpu:14s} {latency.instructions:14,} {latency.cycles:12,.0f}", flush=True)


if __name__ == "__main__":
    main()
