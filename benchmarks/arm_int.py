"""fp32, fp16 and integer kernels on ARM cores: instructions and modelled time per width, by layer and by network.

    python benchmarks/arm_int.py [--cores cortex-a53 cortex-a72 cortex-a76 neoverse-n1 neoverse-v2] [--plot FILE.png]

Random weights, batch 1, one thread. Every network of integers is also run on the emulated core and compared with the
integer reference. Cores without fp16 have no line for 16 bits. Times are modelled, so that table and plot are the same
on every machine.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from prune_networks import Block
from torch import nn

from galen.backends.execution import run_on_core
from galen.backends.integer import run
from galen.backends.latency import Latency
from galen.backends.lower import lower
from galen.backends.runner import EmulatorRunner
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.io import load
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.quantize import Quantize
from galen.passes.simplify import Simplify

WIDTHS = (32, 16, 8, 6, 4, 3, 2, 1)
HALF = 16
CORES = ("cortex-a53", "cortex-a72", "cortex-a76", "neoverse-n1", "neoverse-v2")


def layer() -> nn.Module:
    """3x3, 128 -> 128 channels, 16x16 pixels."""
    return nn.Conv2d(128, 128, 3, padding=1)


def resnet(stages: list[tuple[int, int]]) -> nn.Module:
    """A ResNet for CIFAR; (64, 2), (128, 2), (256, 2), (512, 2) is ResNet-18."""
    width = stages[0][0]
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    before = width
    for number, (width, depth) in enumerate(stages):
        for place in range(depth):
            layers.append(Block(before, width, 2 if number and not place else 1))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


NETWORKS = {
    "3x3 128->128": (layer, (1, 128, 16, 16)),
    "ResNet-20": (lambda: resnet([(16, 3), (32, 3), (64, 3)]), (1, 3, 32, 32)),
    "ResNet-20, half": (lambda: resnet([(8, 3), (16, 3), (32, 3)]), (1, 3, 32, 32)),
    "ResNet-18": (lambda: resnet([(64, 2), (128, 2), (256, 2), (512, 2)]), (1, 3, 32, 32)),
}


def exported(name: str, folder: Path) -> Model:
    """Return a network, simplified, with BatchNorm folded."""
    build, shape = NETWORKS[name]
    torch.manual_seed(0)
    path = folder / "network.onnx"
    torch.onnx.export(build().eval(), (torch.randn(shape),), str(path), dynamo=False, opset_version=17)
    onnx.checker.check_model(str(path))
    model = load(path)
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    return model


def cost(model: Model, core: str) -> Latency:
    """Return what one inference costs; integers must be those of the reference."""
    program = lower(model, find(core))
    (name, index), *_ = program.inputs.items()
    inputs = {name: np.random.default_rng(0).standard_normal(program.buffers[index].shape).astype(np.float32)}
    if any(node.op_type == "QuantizeLinear" for node in model.graph):
        found, expected = run_on_core(program, inputs), run(model, inputs)
        for output, array in expected.items():
            np.testing.assert_array_equal(found[output], array)
    return EmulatorRunner(find(core)).latency(program)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", nargs="+", default=CORES)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    times: dict[tuple[str, str], list[float]] = {}
    for name in args.networks:
        for core in args.cores:
            print(f"\n{name} on {core}\n\n| bits | instructions | per MAC | modelled ms | kernels |")
            print("|---|---|---|---|---|")
            for bits in args.widths:
                if bits == HALF and not find(core).has("fullfp16"):
                    times.setdefault((name, core), []).append(float("nan"))
                    continue
                with tempfile.TemporaryDirectory() as folder:
                    model = exported(name, Path(folder))
                if bits < 32:
                    Quantize(weight_bits=bits, activation_bits=bits, calibration="random").apply(model)
                latency = cost(model, core)
                times.setdefault((name, core), []).append(latency.median)
                print(row(bits, latency), flush=True)
    summary(times, args.widths)
    if args.plot:
        plot(times, args.widths, args.plot)


def row(bits: int, latency: Latency) -> str:
    """Return a line of the table."""
    macs = sum(part.macs for part in latency.layers)
    families = sorted({part.kernel for part in latency.layers if part.macs})
    count = latency.instructions or 0
    return f"| {bits} | {count / 1e6:.2f} M | {count / macs:.4f} | {latency.median:.3f} | {', '.join(families)} |"


def summary(times: dict[tuple[str, str], list[float]], widths: list[int]) -> None:
    """Print which width wins where."""
    print(f"\n| network | core | {' | '.join(f'{w} bits' for w in widths)} | fastest |")
    print(f"|---|---|{'---|' * len(widths)}---|")
    for (name, core), series in times.items():
        best = min(pair for pair in zip(series, widths, strict=True) if pair[0] == pair[0])
        print(f"| {name} | {core} | {' | '.join(f'{t:.3f}' for t in series)} | {best[1]} |")


def plot(times: dict[tuple[str, str], list[float]], widths: list[int], path: Path) -> None:
    """Draw time against width, relative to fp32, one panel per network."""
    import matplotlib.pyplot as plt  # noqa: PLC0415

    names = sorted({name for name, _ in times})
    figure, axes = plt.subplots(1, len(names), figsize=(4 * len(names), 3), sharey=True, squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for (network, core), series in times.items():
            if network == name:
                axis.plot([str(w) for w in widths], np.array(series) / series[0], marker="o", label=core)
        axis.set(title=name, xlabel="bits of weights and activations", ylabel="modelled time / fp32")
    axes[0][-1].legend()
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main()
