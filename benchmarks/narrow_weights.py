"""A large fully connected layer with weights of 32, 8 and 4 bits and fp32 arithmetic: modelled time and size.

    python benchmarks/narrow_weights.py [--cores cortex-a53 cortex-a72 cortex-a76] [--inputs 1280] [--outputs 1000]

Batch 1, one thread; weights come from memory, as they do in a network that does not fit the caches.
"""

import argparse

import torch
from torch import nn

from galen import trace
from galen.backends.lower import lower
from galen.backends.runner import EmulatorRunner
from galen.backends.targets import find
from galen.ir import Model
from galen.passes.quantize import Quantize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", nargs="+", default=["cortex-a53", "cortex-a72", "cortex-a76"])
    parser.add_argument("--inputs", type=int, default=1280)
    parser.add_argument("--outputs", type=int, default=1000)
    args = parser.parse_args()
    print("| core | bits of weights | bytes of weights | instructions | modelled ms |\n|---|---|---|---|---|")
    for core in args.cores:
        for bits in (32, 8, 4):
            print(row(core, bits, layer(args.inputs, args.outputs, bits)), flush=True)


def layer(inputs: int, outputs: int, bits: int) -> Model:
    torch.manual_seed(0)
    model = trace(nn.Sequential(nn.Linear(inputs, outputs)).eval(), (torch.randn(2, inputs),))
    if bits < 32:
        Quantize(weight_bits=bits, activation_bits=32, calibration="random").apply(model)
    return model


def row(core: str, bits: int, model: Model) -> str:
    program = lower(model, find(core))
    latency = EmulatorRunner(find(core)).latency(program)
    size = max(program.buffers[index].nbytes for index in program.constants)
    return f"| {core} | {bits} | {size:,} | {(latency.instructions or 0) / 1e6:.2f} M | {latency.median:.3f} |"


if __name__ == "__main__":
    main()
