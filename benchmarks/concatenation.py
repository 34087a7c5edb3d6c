"""Networks that join channels: convolutions write into their place in the joined image, against copies.

    python benchmarks/concatenation.py [--core cortex-a72]

Blocks of SqueezeNet, DenseNet and YOLOv8, batch 1, one thread, fp32: instructions per inference, modelled time, and
size of the intermediate memory.
"""

import argparse
import sys
from collections.abc import Iterator
from unittest.mock import patch

import torch
from torch import nn

from galen import trace
from galen.backends.lower import lower
from galen.backends.memory import plan
from galen.backends.runner import EmulatorRunner
from galen.backends.target import Target
from galen.backends.targets import find
from galen.ir import Model


class C2f(nn.Module):
    """The block of YOLOv8: a split, bottlenecks, all joined; their windows want borders, so it is copied."""

    def __init__(self, channels: int = 64, depth: int = 2) -> None:
        super().__init__()
        half = channels // 2
        self.before, self.after = _conv(channels, channels, 1), _conv(half * (depth + 2), channels, 1)
        self.blocks = nn.ModuleList(nn.Sequential(_conv(half, half, 3), _conv(half, half, 3)) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = list(self.before(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(parts[-1] + block(parts[-1]))
        return self.after(torch.cat(parts, 1))


class Fire(nn.Module):
    """SqueezeNet: convolutions of two sizes, joined."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.end = _conv(128, 16, 1), _conv(128, 16, 1)
        self.one, self.three = _conv(16, 64, 1), _conv(16, 64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x)
        return self.end(torch.cat([self.one(x), self.three(x)], 1))


class DenseBlock(nn.Module):
    """DenseNet: every layer reads all before it."""

    def __init__(self, depth: int = 4, growth: int = 32) -> None:
        super().__init__()
        widths = [64 + growth * i for i in range(depth + 1)]
        self.first, self.end = _conv(3, 64, 3), _conv(widths[-1], 64, 1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), _conv(width, 64, 1), nn.Conv2d(64, growth, 3, padding=1))
            for width in widths[:-1]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.first(x)]
        for layer in self.layers:
            parts.append(layer(torch.cat(parts, 1)))
        return self.end(torch.cat(parts, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", default="cortex-a72")
    target = find(parser.parse_args().core)
    print("| network | copies: instructions, modelled ms, MB | in place: instructions, modelled ms, MB |")
    print("|---|---|---|")
    for name, model in networks():
        with patch.object(sys.modules["galen.backends.lower.lower"], "homes", return_value={}):
            copied = cost(model, target)
        print(f"| {name} | {copied} | {cost(model, target)} |", flush=True)


def networks() -> Iterator[tuple[str, Model]]:
    torch.manual_seed(0)
    yield "Fire, 128 channels, 28x28", trace(Fire().eval(), (torch.randn(1, 128, 28, 28),))
    yield "dense block, 64 + 4 x 32 channels, 28x28", trace(DenseBlock().eval(), (torch.randn(1, 3, 28, 28),))
    yield "C2f, 64 channels, 28x28", trace(C2f().eval(), (torch.randn(1, 64, 28, 28),))


def cost(model: Model, target: Target) -> str:
    program = lower(model, target)
    latency = EmulatorRunner(target).latency(program)
    return f"{(latency.instructions or 0) / 1e6:.2f} M, {latency.median:.2f}, {plan(program).size / 1e6:.2f}"


def _conv(ci: int, co: int, size: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(ci, co, size, padding=size // 2), nn.ReLU())


if __name__ == "__main__":
    main()
