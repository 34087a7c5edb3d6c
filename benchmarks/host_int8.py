"""int8 on this machine, real time: Galen beside onnxruntime, one thread, the best of many runs.

python benchmarks/host_int8.py [NETWORK ...]      # names of benchmarks/arm_int.py; default ResNet-18
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from arm_int import exported

from galen.backends.build import compile  # noqa: A004
from galen.backends.integer import run
from galen.backends.targets import find
from galen.ir.execute import session
from galen.passes.quantize import Quantize

RUNS = 100


def best(function: Callable[[], object]) -> float:
    """Return the shortest time of one call in milliseconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def main() -> None:
    import tvm  # noqa: PLC0415
    from tvm import relax  # noqa: PLC0415

    print("| network | Galen ms | onnxruntime ms | ratio |\n|---|---|---|---|")
    for name in sys.argv[1:] or ["ResNet-18"]:
        with tempfile.TemporaryDirectory() as folder:
            model = exported(name, Path(folder))
            Quantize(calibration="random").apply(model)
            artifact = compile(model, find("host"), Path(folder, "network.so"))
            x = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
            (key,) = artifact.program.inputs
            (found,), (expected,) = artifact.run({key: x}).values(), run(model, {key: x}).values()
            np.testing.assert_array_equal(found, expected)
            machine = relax.VirtualMachine(tvm.runtime.load_module(str(artifact.path)), tvm.cpu())
            tensor = tvm.runtime.tensor(x)
            ours = best(lambda: machine["main"](tensor))  # noqa: B023
            peer = session(model)
            theirs = best(lambda: peer.run(None, {key: x}))  # noqa: B023
        print(f"| {name} | {ours:.2f} | {theirs:.2f} | {ours / theirs:.2f} |")


if __name__ == "__main__":
    main()
