"""Operators that are no convolutions at sizes that networks have: Galen's kernels against those that TVM makes of them.

    python benchmarks/dense_operators.py [--core cortex-a72]

Batch 1, one thread, fp32: instructions per inference and modelled time of the node alone, with the conversions of
layout that it needs. `TVM` is what the fallback computes.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from onnx_text import model

from galen.backends.lower import lower
from galen.backends.lower.fallback import fallback
from galen.backends.lower.lowering import Lowering
from galen.backends.lower.prepare import prepare
from galen.backends.program import Program
from galen.backends.runner import EmulatorRunner
from galen.backends.target import Target
from galen.backends.targets import find
from galen.ir import GalenError, Model

NODES = {
    "box distribution, softmax of 16": "float[1,16,4,2100] x) => (float[] y) { y = Softmax<axis=1>(x) }",
    "class of every pixel, 21 of 128x128": "float[1,21,128,128] x) => (int64[] y) { y = ArgMax<axis=1>(x) }",
    "mean of rows, 197x192": "float[1,197,192] x) => (float[] y) <int64[1] a = {2}> { y = ReduceMean(x, a) }",
    "largest channel, 64x56x56": "float[1,64,56,56] x) => (float[] y) <int64[1] a = {1}> { y = ReduceMax(x, a) }",
    "masked scores, 3x197x197": "float[1,3,197,197] x, bool[197,197] m) => (float[] y) <float z = {-9.0}> "
    "{ y = Where(m, x, z) }",
    "reflected border, 64x64x64": "float[1,64,64,64] x) => (float[] y) <int64[8] p = {0,0,1,1,0,0,1,1}> "
    '{ y = Pad<mode="reflect">(x, p) }',
    "running sum, 100x100": "float[1,100,100] x) => (float[] y) <int64 a = {1}> { y = CumSum(x, a) }",
    "cast of 40,000 integers": "int64[1,200,200] x) => (float[] y) { y = Cast<to=1>(x) }",
    "instance norm, 64x56x56": "float[1,64,56,56] x) => (float[] y) <float[64] s, float[64] b> "
    "{ y = InstanceNormalization(x, s, b) }",
    "convolution of volumes, 16 to 32, 8x28x28": "float[1,16,8,28,28] x) => (float[] y) <float[32,16,3,3,3] w> "
    "{ y = Conv<pads=[1,1,1,1,1,1]>(x, w) }",
    "largest in volumes, 32x8x28x28": "float[1,32,8,28,28] x) => (float[] y) "
    "{ y = MaxPool<kernel_shape=[2,2,2], strides=[2,2,2]>(x) }",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", default="cortex-a72")
    target = find(parser.parse_args().core)
    print(
        "| node | kernels | instructions | modelled ms | TVM: instructions | modelled ms |\n|---|---|---|---|---|---|"
    )
    for name, text in NODES.items():
        network = model(f"net ({text}")
        program = lower(network, target)
        kernels = " + ".join(dict.fromkeys(call.kernel.family for call in program.calls))
        print(f"| {name} | {kernels} | {cost(program, target)} | {by_tvm(model(f'net ({text}'), target)} |", flush=True)


def by_tvm(network: Model, target: Target) -> str:
    low = Lowering(prepare(network, target), target, {})
    for value in low.fed():
        low.define(value, low.spec(value))
    try:
        for node in low.model.graph:
            fallback(low, node)
        return cost(low.program(), target)
    except GalenError as error:
        return f"{error} |"


def cost(program: Program, target: Target) -> str:
    latency = EmulatorRunner(target).latency(program)
    return f"{(latency.instructions or 0) / 1e3:,.0f} k | {latency.median:.3f}"


if __name__ == "__main__":
    main()
