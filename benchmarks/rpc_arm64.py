"""From upload to result through TVM's RPC: `galen measure` and a server in an arm64 Python under qemu-user.

    python benchmarks/rpc_arm64.py MODEL.onnx [--target cortex-a72] --root FOLDER

FOLDER receives an arm64 Python with TVM's wheels (Debian, needs qemu-user). The device's outputs are compared with
those of Galen's emulated core, and by `galen measure` with onnxruntime's. Time under an emulator is not time.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from arm64_root import arm64_root, environment, python, tvm_runtime

from galen.backends.build import lower
from galen.backends.execution import run_on_core
from galen.backends.rpc_runner import Connection, RpcRunner
from galen.backends.targets import find
from galen.ir.execute import random_inputs
from galen.ir.io import load

GUEST = Path(__file__).with_name("rpc_guest.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", default="cortex-a72")
    parser.add_argument("--root", type=Path, required=True)
    args = parser.parse_args()
    root = arm64_root(args.root, (*tvm_runtime(), "cloudpickle"))
    with serving(root, args.target) as address:
        model, target = load(args.model), find(args.target)
        inputs = random_inputs(model, np.random.default_rng(0))
        program = lower(model, target)
        expected = run_on_core(program, inputs)
        found = RpcRunner(target, Connection(address)).outputs(program, inputs)
        differ = sum(int((found[name] != array).sum()) for name, array in expected.items())
        print(f"{args.model.name} on {args.target}, arm64 Python at {address}")
        print(f"values that differ from the emulated core's: {differ} of {sum(a.size for a in expected.values())}")
        device = ["--target", args.target, "--runner", "rpc", "--device", address]
        told = measured([str(args.model), *device])
        median = told["latency_ms"]["median"]
        print(f"galen measure: {told['kind']} ({told['model']}), {told['runs']} runs, median {median:.3g} ms")
        print(f"largest difference to onnxruntime: {told['max_abs_error']:.3g}")


def measured(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("galen")), "measure", *arguments, "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@contextmanager
def serving(root: Path, cpu: str) -> Iterator[str]:
    """Run an RPC server under qemu; lend its address."""
    with TemporaryDirectory() as name, socket.socket() as probe:
        interpreter = Path(name, "python")
        variables = [f"-E {key}={value}" for key, value in {**environment(root), "TVM_USE_RUNTIME_LIB": "1"}.items()]
        line = " ".join(["qemu-aarch64", "-cpu", cpu, "-L", str(root), *variables, python(root), "-S"])
        interpreter.write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        interpreter.chmod(0o755)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        command = [str(interpreter), str(GUEST), str(port), str(interpreter)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        try:
            assert server.stdout is not None
            if server.stdout.readline() != b"ready\n":
                raise SystemExit("the server under qemu does not start")
            yield f"127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGKILL)  # the server has children
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
