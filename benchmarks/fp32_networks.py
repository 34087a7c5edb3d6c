"""The fp32 networks that are compared: standard definitions with random weights."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from mobile_networks import mobilenet_v3
from prune_networks import Block
from torch import nn

from galen.ir import Model
from galen.ir.io import load

Shape = tuple[int, ...]


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


class Inverted(nn.Module):
    """Inverted residual (Sandler et al. 2018)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int, kernel: int) -> None:
        super().__init__()
        width = inputs * expand
        wide = [convolution(inputs, width, 1), nn.ReLU6()] if expand > 1 else []
        deep = [convolution(width, width, kernel, stride, width), nn.ReLU6(), convolution(width, outputs, 1)]
        self.layers, self.residual = nn.Sequential(*wide, *deep), stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class Bottleneck(nn.Module):
    """ResNet-50's block, with the stride on the 3x3 convolution."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(inputs, width, 1),
            nn.ReLU(),
            convolution(width, width, 3, stride),
            nn.ReLU(),
            convolution(width, 4 * width, 1),
        )
        same = stride == 1 and inputs == 4 * width
        self.shortcut = nn.Identity() if same else convolution(inputs, 4 * width, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.layers(x) + self.shortcut(x))


def head(width: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)]


def cifar(stages: list[tuple[int, int]]) -> nn.Module:
    before = stages[0][0]
    layers: list[nn.Module] = [convolution(3, before, 3), nn.ReLU()]
    for number, (width, depth) in enumerate(stages):
        for place in range(depth):
            layers.append(Block(before, width, 2 if number and not place else 1))
            before = width
    return nn.Sequential(*layers, *head(before, 10))


def mobile(stem: int, stages: list[tuple[int, int, int, int, int]], last: int) -> nn.Module:
    """Stages of (expansion, channels, blocks, stride, kernel)."""
    layers: list[nn.Module] = [convolution(3, stem, 3, 2), nn.ReLU6()]
    before = stem
    for expand, width, depth, stride, kernel in stages:
        for place in range(depth):
            layers.append(Inverted(before, width, 1 if place else stride, expand, kernel))
            before = width
    return nn.Sequential(*layers, convolution(before, last, 1), nn.ReLU6(), *head(last, 1000))


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for place in range(depth):
            layers.append(Bottleneck(before, width, 1 if place else stride))
            before = 4 * width
    return nn.Sequential(*layers, *head(before, 1000))


class Attention(nn.Module):
    """Self-attention (Vaswani et al. 2017) with one product for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, width = x.shape
        parts = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = parts[0], parts[1], parts[2]
        weights = torch.softmax(q @ k.transpose(-2, -1) * self.scale, -1)
        return self.out((weights @ v).transpose(1, 2).reshape(n, tokens, width))


class Encoder(nn.Module):
    """Attention and two dense layers, each behind a normalisation and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width, heads))
        wide = 4 * width
        self.dense = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(x)
        return x + self.dense(x)


class VisionTransformer(nn.Module):
    """Dosovitskiy et al. 2021; the tiny one is that of Touvron et al. 2021."""

    def __init__(self, width: int, heads: int, depth: int, patch: int, side: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.first = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.places = nn.Parameter(torch.randn(1, (side // patch) ** 2 + 1, width) * 0.02)
        self.layers = nn.Sequential(*[Encoder(width, heads) for _ in range(depth)], nn.LayerNorm(width))
        self.head = nn.Linear(width, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(tokens.shape[0], -1, -1), tokens], 1) + self.places
        return self.head(self.layers(x)[:, 0])


MOBILENET_V2 = [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 32, 3, 2, 3), (6, 64, 4, 2, 3), (6, 96, 3, 1, 3),
                (6, 160, 3, 2, 3), (6, 320, 1, 1, 3)]  # fmt: skip
LITE0 = [(1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
         (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]  # fmt: skip
VIT_TINY = {"width": 192, "heads": 3, "depth": 12, "patch": 16, "side": 224}

NETWORKS: dict[str, tuple[Callable[[], nn.Module], Shape]] = {
    "ResNet-20": (lambda: cifar([(16, 3), (32, 3), (64, 3)]), (1, 3, 32, 32)),
    "ResNet-18 (CIFAR)": (lambda: cifar([(64, 2), (128, 2), (256, 2), (512, 2)]), (1, 3, 32, 32)),
    "MobileNetV2": (lambda: mobile(32, MOBILENET_V2, 1280), (1, 3, 224, 224)),
    "EfficientNet-Lite0": (lambda: mobile(32, LITE0, 1280), (1, 3, 224, 224)),
    "ResNet-50": (resnet50, (1, 3, 224, 224)),
    "MobileNetV3": (mobilenet_v3, (1, 3, 224, 224)),
    "ViT-tiny": (lambda: VisionTransformer(**VIT_TINY), (1, 3, 224, 224)),
}


def exported(name: str, path: Path) -> Path:
    """Write a network as an ONNX file."""
    torch.manual_seed(0)
    build, shape = NETWORKS[name]
    with torch.no_grad():
        torch.onnx.export(build().eval(), (torch.randn(shape),), str(path), dynamo=False, opset_version=17)
    return path


def network(name: str) -> Model:
    """Return a network as Galen reads it."""
    with tempfile.TemporaryDirectory() as folder:
        return load(exported(name, Path(folder, "network.onnx")))
