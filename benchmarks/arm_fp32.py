"""fp32 networks on an emulated ARM core and on this machine, beside ONNX Runtime and ncnn.

    python benchmarks/arm_fp32.py [--core cortex-a72] [--networks NAME ...] [--host] [--root FOLDER]

Batch 1, one thread, random weights. Instructions are those of the kernels of one inference; the modelled time is what
`galen measure` says. With --root FOLDER, which receives an arm64 Python (Debian, needs qemu-user), ONNX Runtime 1.20.1
runs the same file and ncnn the same layers under the same core, once and twice: the difference is their cost, timed by
the same clock. With --host Galen and ONNX Runtime are timed here (best of 20).
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ncnn_export
import ncnn_vit
import numpy as np
import tvm
from arm64_root import arm64_root
from engines import ORT, Cost, ncnn_cost, onnxruntime_cost
from fp32_networks import NETWORKS, VIT_TINY, exported
from tvm import relax

from galen.backends.build import compile as build
from galen.backends.lower import lower
from galen.backends.runner import EmulatorRunner
from galen.backends.target import Target
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.execute import random_inputs, session
from galen.ir.io import load
from galen.passes.pipeline import Pipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", default="cortex-a72")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--host", action="store_true")
    parser.add_argument("--root", type=Path)
    args = parser.parse_args()
    core = find(args.core)
    print("| network | engine | instructions | modelled ms | |\n|---|---|---|---|---|")
    for name in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            path = exported(name, Path(folder, "network.onnx"))
            cost, error = galen_on_core(load(path), core)
            print(line(name, "Galen", cost, f"relative error {error:.1e}"), flush=True)
            if args.root:
                for engine, cost in peers(name, path, core, args.root):
                    print(line(name, engine, cost), flush=True)
            if args.host:
                print(f"| {name} | {on_host(load(path), Path(folder))} |", flush=True)


def line(network: str, engine: str, cost: Cost, note: str = "") -> str:
    return f"| {network} | {engine} | {cost[0] / 1e6:.2f} M | {cost[1]:.2f} | {note} |"


def galen_on_core(model: Model, core: Target) -> tuple[Cost, float]:
    """Return the cost of one inference, and the largest error relative to onnxruntime's largest output."""
    program = lower(model, core)
    runner = EmulatorRunner(core)
    latency = runner.latency(program)
    inputs = random_inputs(model, np.random.default_rng(0))
    (expected,) = session(model).run(None, dict(inputs))
    (result,) = runner.outputs(program, inputs).values()
    return (latency.instructions or 0, latency.median), abs(result - expected).max() / abs(expected).max()


def peers(name: str, path: Path, core: Target, root: Path) -> Iterator[tuple[str, Cost]]:
    """Yield what the other engines cost."""
    root = arm64_root(root, (*ORT, "ncnn"))
    yield "ONNX Runtime", onnxruntime_cost(path, core, root)
    model, side = load(path), NETWORKS[name][1][-1]
    Pipeline.parse("simplify,fold-batchnorm").apply(model)
    text = ncnn_vit.param(**VIT_TINY) if name == "ViT-tiny" else ncnn_export.param(model, "fp32")
    network = path.with_suffix(".param")
    network.write_text(text)
    yield "ncnn", ncnn_cost(network, side, core, root)


def on_host(model: Model, folder: Path) -> str:
    inputs = random_inputs(model, np.random.default_rng(0))
    artifact = build(model, find("host"), folder / "host.so")
    machine = relax.VirtualMachine(tvm.runtime.load_module(str(artifact.path)), tvm.cpu())
    tensors = [tvm.runtime.tensor(array) for array in inputs.values()]
    reference = session(model)
    ours, theirs = best(lambda: machine["main"](*tensors)), best(lambda: reference.run(None, dict(inputs)))
    return f"host: galen {ours:.2f} ms, onnxruntime {theirs:.2f} ms, ratio {ours / theirs:.2f}"


def best(run: Callable[[], object], count: int = 20) -> float:
    """Return the shortest time in milliseconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


if __name__ == "__main__":
    main()
