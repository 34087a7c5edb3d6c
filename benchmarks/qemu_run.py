"""A compiled network under qemu-user with TVM's own arm64 runtime: outputs and instructions are the emulated core's.

    python benchmarks/qemu_run.py MODEL.onnx [--target cortex-a72] --root FOLDER

FOLDER receives an arm64 Python with TVM's wheels (Debian, needs qemu-user). The inputs are random, seed 0.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from arm64_root import arm64_root, environment, python, tvm_runtime

from galen.backends.build import Artifact
from galen.backends.build import compile as build
from galen.backends.emulator.process import Process, emulate
from galen.backends.runner import EmulatorRunner
from galen.backends.targets import find
from galen.ir.io import load
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.simplify import Simplify

GUEST = Path(__file__).with_name("qemu_guest.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", default="cortex-a72")
    parser.add_argument("--root", type=Path, required=True)
    args = parser.parse_args()
    root, target = arm64_root(args.root, tvm_runtime()), find(args.target)
    model = load(args.model)
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    with TemporaryDirectory() as name:
        folder = Path(name)
        artifact = build(model, target, folder / "network.so", {})
        inputs = random_inputs(artifact)
        expected = list(artifact.run(inputs).values())
        runs = [infer(artifact, inputs, folder, root, count) for count in (1, 2)]
        with np.load(folder / "outputs.npz") as found:
            differ = sum(int((a != b).sum()) for a, b in zip(expected, found.values(), strict=True))
        inference = runs[1].minus(runs[0]).profile(target).instructions
    kernels = EmulatorRunner(target).latency(artifact.program).instructions
    print(f"{args.model.name} on {target.name}")
    print(f"values that differ from the emulated core's: {differ} of {sum(a.size for a in expected)}")
    print(f"instructions: {kernels:,} in kernels, {inference:,} in the whole process ({inference / kernels - 1:+.2%})")


def random_inputs(artifact: Artifact) -> dict[str, np.ndarray]:
    random, program = np.random.default_rng(0), artifact.program
    specs = {name: program.buffers[buffer] for name, buffer in program.inputs.items()}
    return {name: random.standard_normal(spec.shape).astype(spec.dtype) for name, spec in specs.items()}


def infer(artifact: Artifact, inputs: dict[str, np.ndarray], folder: Path, root: Path, count: int) -> Process:
    np.savez(folder / "inputs.npz", **inputs)
    files = [artifact.path, folder / "inputs.npz", folder / "outputs.npz"]
    command = [python(root), "-S", str(GUEST), *map(str, files), str(count)]
    process = emulate(artifact.program.target, command, environment(root), root)
    if process.status:
        raise SystemExit(f"the network failed with status {process.status}")
    return process


if __name__ == "__main__":
    main()
