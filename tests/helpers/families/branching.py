"""Networks that concatenate: dense blocks, detectors, segmentation."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from families.layers import conv


class DenseNet(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2 * w, 3, padding=1)
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        c = 2 * w
        for _ in range(2):
            layers = nn.ModuleList()
            for _ in range(3):
                layers.append(
                    nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), conv(c, 4 * w, 1), nn.Conv2d(4 * w, w, 3, padding=1))
                )
                c += w
            self.blocks.append(layers)
            self.transitions.append(
                nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, 2 * w, 1), nn.AvgPool2d(2))
            )
            c = 2 * w
        self.head = nn.Linear(c, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layers, transition in zip(self.blocks, self.transitions, strict=True):
            for layer in layers:
                x = torch.cat([x, layer(x)], 1)
            x = transition(x)
        return self.head(x.mean((2, 3)))


class C2f(nn.Module):
    def __init__(self, i: int, o: int, n: int) -> None:
        super().__init__()
        self.c = o // 2
        self.a, self.b = conv(i, o, 1, act=nn.SiLU()), conv((2 + n) * self.c, o, 1, act=nn.SiLU())
        self.m = nn.ModuleList(
            nn.Sequential(conv(self.c, self.c, act=nn.SiLU()), conv(self.c, self.c, act=nn.SiLU())) for _ in range(n)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.a(x).chunk(2, 1))
        for block in self.m:
            parts.append(parts[-1] + block(parts[-1]))
        return self.b(torch.cat(parts, 1))


class Sppf(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.a, self.b, self.pool = conv(c, c // 2, 1), conv(2 * c, c, 1), nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        y = self.pool(x)
        z = self.pool(y)
        return self.b(torch.cat([x, y, z, self.pool(z)], 1))


class Yolo(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.p3 = nn.Sequential(conv(3, w, 3, 2), conv(w, 2 * w, 3, 2), C2f(2 * w, 2 * w, 2))
        self.p4 = nn.Sequential(conv(2 * w, 4 * w, 3, 2), C2f(4 * w, 4 * w, 1), Sppf(4 * w))
        self.up = C2f(6 * w, 2 * w, 1)
        self.down, self.out = conv(2 * w, 2 * w, 3, 2), C2f(6 * w, 4 * w, 1)
        self.heads = nn.ModuleList(nn.Sequential(conv(c, c), nn.Conv2d(c, 14, 1)) for c in (2 * w, 4 * w))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        p3 = self.p3(x)
        p4 = self.p4(p3)
        n3 = self.up(torch.cat([F.interpolate(p4, scale_factor=2.0), p3], 1))
        n4 = self.out(torch.cat([self.down(n3), p4], 1))
        return self.heads[0](n3), self.heads[1](n4)


class UNet(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(3, w), conv(w, 2 * w), conv(2 * w, 4 * w)
        self.u1, self.d1 = nn.ConvTranspose2d(4 * w, 2 * w, 2, 2), conv(4 * w, 2 * w)
        self.u2, self.d2 = nn.ConvTranspose2d(2 * w, w, 2, 2), conv(2 * w, w)
        self.head = nn.Conv2d(w, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        y = self.d1(torch.cat([b, self.u1(c)], 1))
        return self.head(self.d2(torch.cat([a, self.u2(y)], 1)))


class Deeplab(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = conv(3, 2 * w, 3, 2)
        self.branches = nn.ModuleList([conv(2 * w, w, 1), conv(2 * w, w, d=2), conv(2 * w, w, d=4)])
        self.pool, self.join, self.head = conv(2 * w, w, 1), conv(4 * w, 2 * w, 1), nn.Conv2d(2 * w, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        x = self.stem(x)
        pooled = F.interpolate(self.pool(F.adaptive_avg_pool2d(x, 1)), size=x.shape[2:], mode="bilinear")
        x = self.join(torch.cat([*(branch(x) for branch in self.branches), pooled], 1))
        return F.interpolate(self.head(x), size=size, mode="bilinear")
