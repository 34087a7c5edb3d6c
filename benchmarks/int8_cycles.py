"""Every integer convolution kernel on every core: instructions and modelled cycles per multiply-accumulate.

    python benchmarks/int8_cycles.py [CORE ...]

The factors of `galen.backends.lower.int8_choice` come from here; its estimate of instructions stands beside.
"""

import sys
from collections.abc import Iterator

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.int8_bits import BitConv
from galen.backends.kernels.int8_conv import Int8Conv
from galen.backends.kernels.int8_dot import DotConv
from galen.backends.kernels.int8_lanes import LaneConv
from galen.backends.kernels.int8_long import LongConv
from galen.backends.kernels.int8_matrix import MatrixConv
from galen.backends.kernels.int8_winograd import WinogradConv
from galen.backends.kernels.window import Window
from galen.backends.lower.int8_choice import cycles, instructions
from galen.backends.program import Call, Program
from galen.backends.runner import EmulatorRunner
from galen.backends.target import Target
from galen.backends.targets import find

CORES = ("cortex-a53", "cortex-a72", "cortex-a76", "neoverse-v2")
LAYERS = {  # side, channels in, channels out, stride
    "3x3 128 -> 128, 16x16": (16, 128, 128, 1),
    "3x3 64 -> 128, 32x32, stride 2": (32, 64, 128, 2),
    "3x3 16 -> 16, 32x32": (32, 16, 16, 1),
    "3x3 512 -> 512, 4x4": (4, 512, 512, 1),
}


def kernels(side: int, ci: int, co: int, stride: int, target: Target) -> Iterator[tuple[str, Int8Conv]]:
    """Yield every kernel that the layer and the core allow."""
    source = Image(1, side, side, ci, 1, 16, "int8")
    sink = Image(1, side // stride, side // stride, co, 1, 16, "int8")
    shape = source, sink, Window(3, 3, stride, stride, 1, 1, 1, 1)
    if target.has("dotprod"):
        yield "8x8 dot", DotConv(*shape)
    if target.has("i8mm"):
        yield "8x8 matrix", MatrixConv(*shape)
    yield "8x8 long", LongConv(*shape)
    if stride == 1:
        yield "8x8 winograd", WinogradConv(*shape)
    for lane, w, x in ((16, 6, 6), (16, 4, 4), (8, 3, 3), (8, 2, 2)):
        yield f"{w}x{x} lanes of {lane}", LaneConv(*shape, None, lane, w, x)
    for w, x in ((3, 3), (2, 2), (1, 2), (1, 1)):
        yield f"{w}x{x} planes", BitConv(*shape, None, 8, w, x)


def program(kernel: Int8Conv, target: Target) -> Program:
    """Return a network of one call."""
    specs = kernel.args
    last = len(specs) - 1
    constants = {i: np.zeros(specs[i].shape, specs[i].dtype) for i in range(1, last)}
    call = Call(kernel, tuple(range(last + 1)), "layer", "Conv")
    return Program(target, specs, constants, {"x": 0}, {"y": last}, (call,))


def main() -> None:
    for layer, sizes in LAYERS.items():
        for core in sys.argv[1:] or CORES:
            target = find(core)
            print(f"\n{layer} on {core}\n\n| kernel | instructions / MAC | estimate | cycles / MAC | estimate |")
            print("|---|---|---|---|---|")
            runner = EmulatorRunner(target)
            for name, kernel in kernels(*sizes, target):
                latency = runner.latency(program(kernel, target))
                counted, time = (latency.instructions or 0) / kernel.macs, (latency.cycles or 0) / kernel.macs
                guess = instructions(kernel) / kernel.macs, cycles(kernel, target) / kernel.macs
                print(f"| {name} | {counted:.4f} | {guess[0]:.4f} | {time:.4f} | {guess[1]:.4f} |", flush=True)


if __name__ == "__main__":
    main()
