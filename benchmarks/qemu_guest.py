"""Runs under the arm64 Python: `qemu_guest.py LIBRARY INPUTS.npz OUTPUTS.npz COUNT` infers with TVM's runtime."""

import ctypes
import sys
from pathlib import Path

import numpy as np
import tvm_ffi

CPU, POOLED = 1, 2


def main(library: str, given: str, results: str, count: str) -> None:
    runtime = Path(tvm_ffi.__file__).parents[1] / "tvm" / "lib" / "libtvm_runtime.so"
    ctypes.CDLL(str(runtime), ctypes.RTLD_GLOBAL)
    executable = tvm_ffi.load_module(library)["vm_load_executable"]()
    executable["vm_initialization"](CPU, 0, POOLED)
    with np.load(given) as arrays:
        inputs = [tvm_ffi.from_dlpack(arrays[name]) for name in arrays]
    for _ in range(int(count)):
        outputs = executable["main"](*inputs)
    listed = [outputs] if hasattr(outputs, "__dlpack__") else list(outputs)
    np.savez(results, *[np.from_dlpack(output) for output in listed])


if __name__ == "__main__":
    main(*sys.argv[1:])
