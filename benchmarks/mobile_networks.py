"""MobileNetV2, MobileNetV3-Large and EfficientNet-B0 as their papers define them, with random weights."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

SIDE = 224


Activation = type[nn.Module] | None


def convolution(sizes: tuple[int, int, int], act: Activation = None, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """`sizes`: inputs, outputs, side of the window."""
    inputs, outputs, kernel = sizes
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), *([act()] if act else []))


class Excite(nn.Module):
    """Squeeze and excitation (Hu et al. 2018)."""

    def __init__(self, width: int, inner: int, act: type[nn.Module], gate: type[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, inner, 1), act(), nn.Conv2d(inner, width, 1), gate()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.layers(x)


class Inverted(nn.Module):
    """Inverted residual (Sandler et al. 2018): widen, filter every channel by itself, perhaps excite, narrow."""

    def __init__(
        self, widths: tuple[int, int, int], kernel: int, stride: int, act: Activation, excite: Sequence[nn.Module] = ()
    ) -> None:
        super().__init__()
        inputs, width, outputs = widths
        wide = [convolution((inputs, width, 1), act)] if width != inputs else []
        deep = convolution((width, width, kernel), act, stride, width)
        self.layers = nn.Sequential(*wide, deep, *excite, convolution((width, outputs, 1)))
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def mobilenet_v2() -> nn.Module:
    """Table 2 of Sandler et al. 2018: expansion, channels, blocks, stride."""
    layers: list[nn.Module] = [convolution((3, 32, 3), nn.ReLU6, 2)]
    before = 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expand, width, depth, stride in stages:
        for place in range(depth):
            layers.append(Inverted((before, before * expand, width), 3, 1 if place else stride, nn.ReLU6))
            before = width
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, convolution((before, 1280, 1), nn.ReLU6), *pool)


def mobilenet_v3() -> nn.Module:
    """Table 1 of Howard et al. 2019: kernel, width, channels, whether excited, hard-swish or not, stride."""
    layers: list[nn.Module] = [convolution((3, 16, 3), nn.Hardswish, 2)]
    before = 16
    for kernel, width, channels, excited, swish, stride in [
        (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2), (5, 120, 40, 1, 0, 1),
        (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
        (3, 184, 80, 0, 1, 1), (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2),
        (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1),
    ]:  # fmt: skip
        excite: list[nn.Module] = [Excite(width, -(-width // 32) * 8, nn.ReLU, nn.Hardsigmoid)] if excited else []
        act = nn.Hardswish if swish else nn.ReLU
        layers.append(Inverted((before, width, channels), kernel, stride, act, excite))
        before = channels
    head = [convolution((before, 960, 1), nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, *head, nn.Linear(960, 1280), nn.Hardswish(), nn.Linear(1280, 1000))


def efficientnet_b0() -> nn.Module:
    """Table 1 of Tan and Le 2019: expansion, kernel, channels, blocks, stride."""
    layers: list[nn.Module] = [convolution((3, 32, 3), nn.SiLU, 2)]
    before = 32
    for expand, kernel, channels, depth, stride in [
        (1, 3, 16, 1, 1), (6, 3, 24, 2, 2), (6, 5, 40, 2, 2), (6, 3, 80, 3, 2), (6, 5, 112, 3, 1), (6, 5, 192, 4, 2),
        (6, 3, 320, 1, 1),
    ]:  # fmt: skip
        for place in range(depth):
            width = before * expand
            excite = [Excite(width, before // 4, nn.SiLU, nn.Sigmoid)]
            layers.append(Inverted((before, width, channels), kernel, 1 if place else stride, nn.SiLU, excite))
            before = channels
    head = [convolution((before, 1280, 1), nn.SiLU), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, *head)


NETWORKS = {"MobileNetV2": mobilenet_v2, "MobileNetV3-Large": mobilenet_v3, "EfficientNet-B0": efficientnet_b0}


def exported(name: str, path: Path) -> Path:
    """Write a network as an ONNX file."""
    torch.manual_seed(0)
    with torch.no_grad():
        image = torch.randn(1, 3, SIDE, SIDE)
        torch.onnx.export(NETWORKS[name]().eval(), (image,), str(path), dynamo=False, opset_version=17)
    return path
