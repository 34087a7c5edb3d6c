"""fp32 networks on an emulated ARM core and on this machine, beside ONNX Runtime.

    python benchmarks/arm_fp32.py [--core cortex-a72] [--networks NAME ...] [--host] [--root FOLDER]

Batch 1, one thread, random weights. Instructions are those of the kernels of one inference; the modelled time is what
`galen measure` says. With --root FOLDER, which receives an arm64 Python (Debian, needs qemu-user), ONNX Runtime 1.20.1
runs once and twice under the same core, and the difference is its cost. With --host both are timed here (best of 20).
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tvm
from arm64_root import arm64_root, environment, python
from fp32_networks import NETWORKS, exported
from tvm import relax

from galen.backends.build import compile as build
from galen.backends.emulator.process import emulate
from galen.backends.lower import lower
from galen.backends.runner import EmulatorRunner
from galen.backends.target import Target
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.execute import random_inputs, session
from galen.ir.io import load

ORT = ("onnxruntime==1.20.1", "numpy==2.2.6", "flatbuffers", "protobuf", "packaging", "coloredlogs", "humanfriendly")
GUEST = Path(__file__).with_name("ort_guest.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", default="cortex-a72")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--host", action="store_true")
    parser.add_argument("--root", type=Path)
    args = parser.parse_args()
    core = find(args.core)
    for name in args.networks:
        with tempfile.TemporaryDirectory() as folder:
            path = exported(name, Path(folder, "network.onnx"))
            print(name, *galen_on_core(load(path), core), sep="   ")
            if args.root:
                print(" " * len(name), ort_on_core(path, core, args.root), sep="   ")
            if args.host:
                print(" " * len(name), on_host(load(path), Path(folder)), sep="   ")


def galen_on_core(model: Model, core: Target) -> tuple[str, str, str]:
    program = lower(model, core)
    runner = EmulatorRunner(core)
    latency = runner.latency(program)
    inputs = random_inputs(model, np.random.default_rng(0))
    (expected,) = session(model).run(None, dict(inputs))
    (result,) = runner.outputs(program, inputs).values()
    error = abs(result - expected).max() / abs(expected).max()
    return f"galen {(latency.instructions or 0) / 1e6:.2f} M", f"{latency.median:.2f} ms", f"relative error {error:.1e}"


def ort_on_core(path: Path, core: Target, root: Path) -> str:
    root = arm64_root(root, ORT)
    command = [python(root), "-S", str(GUEST), str(path)]
    once, twice = (emulate(core, [*command, str(n)], environment(root), root) for n in (1, 2))
    profile = twice.minus(once).profile(core)
    return f"onnxruntime {profile.instructions / 1e6:.2f} M"


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
