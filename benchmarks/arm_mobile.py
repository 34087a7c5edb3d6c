"""int8 networks for phones on an emulated ARM core: Galen, ONNX Runtime 1.20.1 and ncnn side by side.

    python benchmarks/arm_mobile.py --root FOLDER [--cores cortex-a72 neoverse-n1] [--networks NAME ...]

Batch 1, one thread, 224x224, random weights. FOLDER receives an arm64 Python with the other engines (Debian, needs
qemu-user). They infer once and twice under the same core; the difference is their cost, timed by the same clock. ONNX
Runtime gets the very file that Galen compiles; ncnn the same layers, in int8 and in fp32. Galen's integers are compared
with the integer reference before they count.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from arm64_root import arm64_root
from engines import ORT, Cost, ncnn_cost, onnxruntime_cost
from mobile_networks import NETWORKS, SIDE, exported
from ncnn_export import param

from galen.backends.execution import run_on_core
from galen.backends.integer import run
from galen.backends.lower import lower
from galen.backends.runner import EmulatorRunner
from galen.backends.target import Target
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.execute import random_inputs
from galen.ir.io import load, save
from galen.passes.pipeline import Pipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--cores", nargs="+", default=["cortex-a72", "neoverse-n1"])
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    args = parser.parse_args()
    root = arm64_root(args.root, (*ORT, "ncnn"))
    print("| network | core | engine | instructions | modelled ms |\n|---|---|---|---|---|")
    for name in args.networks:
        with TemporaryDirectory() as folder:
            source, quantized = prepared(name, Path(folder))
            for core in map(find, args.cores):
                print(line(name, core, "Galen int8", galen(quantized, core)), flush=True)
                for engine, cost in peers(source, quantized, core, root, Path(folder)):
                    print(line(name, core, engine, cost), flush=True)


def line(network: str, core: Target, engine: str, cost: Cost) -> str:
    return f"| {network} | {core.name} | {engine} | {cost[0] / 1e6:.1f} M | {cost[1]:.1f} |"


def prepared(name: str, folder: Path) -> tuple[Model, Model]:
    """Return a network in fp32, BatchNorm folded, and in int8."""
    source = load(exported(name, folder / "network.onnx"))
    Pipeline.parse("simplify,fold-batchnorm").apply(source)
    quantized = Pipeline.parse("quantize{calibration=random}")(source)
    return source, quantized


def galen(model: Model, core: Target) -> Cost:
    program = lower(model, core)
    inputs = random_inputs(model, np.random.default_rng(0))
    for found, expected in zip(run_on_core(program, inputs).values(), run(model, inputs).values(), strict=True):
        np.testing.assert_array_equal(found, expected)
    latency = EmulatorRunner(core).latency(program)
    return latency.instructions or 0, latency.median


def peers(source: Model, quantized: Model, core: Target, root: Path, folder: Path) -> Iterator[tuple[str, Cost]]:
    save(quantized, folder / "int8.onnx")
    yield "ONNX Runtime int8", onnxruntime_cost(folder / "int8.onnx", core, root)
    for arithmetic in ("int8", "fp32"):
        path = folder / f"{arithmetic}.param"
        path.write_text(param(source, arithmetic))
        yield f"ncnn {arithmetic}", ncnn_cost(path, SIDE, core, root)


if __name__ == "__main__":
    main()
