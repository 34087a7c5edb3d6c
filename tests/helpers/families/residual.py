"""Plain stacks and residual networks of convolutions."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from families.layers import conv


class Vgg(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        widths, layers, i = [w, 2 * w, 4 * w, 4 * w], [], 3
        for o in widths:
            layers += [nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]
            i = o
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(4 * w * 4, 8 * w), nn.ReLU(), nn.Linear(8 * w, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.body(x), 1))


class Basic(nn.Module):
    def __init__(self, i: int, o: int, s: int) -> None:
        super().__init__()
        self.a, self.b = conv(i, o, 3, s), conv(o, o, 3, act=nn.Identity())
        self.shortcut = conv(i, o, 1, s, act=nn.Identity()) if s > 1 or i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.b(self.a(x)) + self.shortcut(x))


class Bottleneck(nn.Module):
    def __init__(self, i: int, o: int, s: int, groups: int = 1) -> None:
        super().__init__()
        m = o // 2
        self.body = nn.Sequential(conv(i, m, 1), conv(m, m, 3, s, groups), conv(m, o, 1, act=nn.Identity()))
        self.shortcut = conv(i, o, 1, s, act=nn.Identity()) if s > 1 or i != o else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, w: int, block: str = "basic", groups: int = 1) -> None:
        super().__init__()

        def make(i: int, o: int, s: int) -> nn.Module:
            return Basic(i, o, s) if block == "basic" else Bottleneck(i, o, s, groups)

        self.stem = conv(3, w)
        self.body = nn.Sequential(
            make(w, w, 1), make(w, w, 1), make(w, 2 * w, 2), make(2 * w, 2 * w, 1), make(2 * w, 4 * w, 2)
        )
        self.head = nn.Linear(4 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(self.body(self.stem(x)), 1).flatten(1))


class Cbam(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.a, self.b = conv(3, 4 * w), nn.Linear(4 * w, w), nn.Linear(w, 4 * w)
        self.place, self.tail, self.head = nn.Conv2d(2, 1, 7, padding=3), conv(4 * w, 4 * w), nn.Linear(4 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        gate = self.b(F.relu(self.a(x.mean((2, 3))))) + self.b(F.relu(self.a(x.amax((2, 3)))))
        x = x * torch.sigmoid(gate)[:, :, None, None]
        maps = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return self.head(self.tail(x * torch.sigmoid(self.place(maps))).mean((2, 3)))


class Gated(nn.Module):
    """GLU halves, a depthwise convolution, a pixel shuffle."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.dw, self.b = (
            nn.Conv2d(3, 4 * w, 1),
            nn.Conv2d(2 * w, 2 * w, 3, padding=1, groups=2 * w),
            nn.Conv2d(2 * w, 4 * w, 1),
        )
        self.c, self.d = nn.Conv2d(w, w, 3, padding=1), nn.Conv2d(w, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.dw(F.glu(self.a(x), 1)))
        return self.d(F.relu(self.c(F.pixel_shuffle(self.b(x), 2))))


class GroupNormNet(nn.Module):
    def __init__(self, w: int, groups: int = 4) -> None:
        super().__init__()
        self.a, self.n1, self.b = (
            nn.Conv2d(3, 4 * w, 3, padding=1),
            nn.GroupNorm(groups, 4 * w),
            nn.Conv2d(4 * w, 4 * w, 3, padding=1),
        )
        self.n2, self.c = nn.GroupNorm(groups, 4 * w), nn.Conv2d(4 * w, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        return self.c(F.silu(self.n2(x + self.b(F.silu(self.n1(x))))))


class Res2Net(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.a = conv(3, 4 * w), conv(4 * w, 4 * w, 1)
        self.m = nn.ModuleList(conv(w, w) for _ in range(3))
        self.b, self.head = conv(4 * w, 4 * w, 1, act=nn.Identity()), nn.Linear(4 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        parts = list(self.a(x).chunk(4, 1))
        y = [parts[0]]
        for part, layer in zip(parts[1:], self.m, strict=True):
            y.append(layer(part + y[-1]) if len(y) > 1 else layer(part))
        return self.head(F.relu(x + self.b(torch.cat(y, 1))).mean((2, 3)))


class Volume(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.n, self.b = (
            nn.Conv3d(2, 2 * w, 3, padding=1),
            nn.InstanceNorm3d(2 * w, affine=True),
            nn.Conv3d(2 * w, 2 * w, 3, padding=1, groups=2),
        )
        self.up, self.c = nn.ConvTranspose3d(2 * w, 2 * w, 2, 2, groups=2), nn.Conv3d(2 * w, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.n(self.a(x)))
        return self.c(F.elu(self.up(F.max_pool3d(self.b(x), 2))))


class Siamese(nn.Module):
    """Two inputs through shared weights, their difference and product, several outputs."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.b = conv(3, w), conv(w, 2 * w, 3, 2)
        self.head, self.other = nn.Bilinear(2 * w, 2 * w, 4), nn.Linear(4 * w, 3)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x, y = (self.b(self.a(z)).mean((2, 3)) for z in (x, y))
        return (x * y).sum(1, keepdim=True), self.other(torch.cat([(x - y).abs(), x * y], 1))


class SelectiveKernel(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.a, self.b = conv(3, 2 * w), conv(2 * w, 2 * w), conv(2 * w, 2 * w, d=2)
        self.squeeze, self.excite, self.head = nn.Linear(2 * w, w), nn.Linear(w, 4 * w), nn.Linear(2 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = torch.stack([self.a(x), self.b(x)], 1)
        gate = self.excite(F.relu(self.squeeze(y.sum(1).mean((2, 3)))))
        gate = gate.view(x.shape[0], 2, -1).softmax(1)[:, :, :, None, None]
        return self.head((y * gate).sum(1).mean((2, 3)))
