"""Image classifiers."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from families.layers import Se, conv


class EfficientNet(nn.Module):
    """Inverted bottlenecks with squeeze and excitation by SiLU, kernels of 5, another expansion in every stage."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.blocks = conv(3, w, 3, 2, act=nn.SiLU()), nn.ModuleList()
        i = w
        for o, e, k, s in ((w, 1, 3, 1), (2 * w, 6, 5, 2), (2 * w, 6, 5, 1)):
            m = i * e
            wide = [conv(i, m, 1, act=nn.SiLU())] if e > 1 else []
            self.blocks.append(
                nn.Sequential(
                    *wide, conv(m, m, k, s, m, act=nn.SiLU()), Se(m, i // 4), conv(m, o, 1, act=nn.Identity())
                )
            )
            i = o
        self.top, self.head = conv(i, 4 * w, 1, act=nn.SiLU()), nn.Linear(4 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            y = block(x)
            x = x + y if x.shape == y.shape else y
        return self.head(F.dropout(self.top(x).mean((2, 3)), 0.2, self.training))


class RegNet(nn.Module):
    """Bottlenecks of four groups, squeeze and excitation in the middle."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = conv(3, w, 3, 2)
        self.blocks, self.short = nn.ModuleList(), nn.ModuleList()
        i = w
        for o, s in ((2 * w, 2), (2 * w, 1), (4 * w, 2)):
            self.blocks.append(
                nn.Sequential(conv(i, o, 1), conv(o, o, 3, s, 4), Se(o, w // 4), conv(o, o, 1, act=nn.Identity()))
            )
            self.short.append(conv(i, o, 1, s, act=nn.Identity()) if s > 1 else nn.Identity())
            i = o
        self.head = nn.Linear(i, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block, short in zip(self.blocks, self.short, strict=True):
            x = F.relu(block(x) + short(x))
        return self.head(x.mean((2, 3)))


class CspNet(nn.Module):
    """Cross-stage partial stages with Mish (YOLOv4, YOLOv5's C3) and a Focus stem of strided slices."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = conv(12, w, 3, act=nn.Mish())
        self.a, self.b = conv(w, w, 1, act=nn.Mish()), conv(w, w, 1, act=nn.Mish())
        self.m = nn.ModuleList(nn.Sequential(conv(w, w, 1), conv(w, w)) for _ in range(2))
        self.c, self.d = conv(2 * w, 2 * w, 1, act=nn.Mish()), conv(2 * w, 2 * w, 3, 2, act=nn.LeakyReLU(0.1))
        self.spp, self.head = conv(8 * w, 2 * w, 1), nn.Linear(2 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)
        x = self.stem(x)
        y = self.a(x)
        for block in self.m:
            y = y + block(y)
        x = self.d(self.c(torch.cat((y, self.b(x)), 1)))
        x = self.spp(torch.cat([x, *(F.max_pool2d(x, k, 1, k // 2) for k in (3, 5, 7))], 1))
        return self.head(x.mean((2, 3)))


class Eca(nn.Module):
    """Efficient channel attention: a convolution over the channels themselves, which therefore all stay."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(3, 2 * w), conv(2 * w, 2 * w), conv(2 * w, 4 * w)
        self.eca, self.head = nn.Conv1d(1, 1, 3, padding=1, bias=False), nn.Linear(4 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.a(x))
        gate = self.eca(x.mean((2, 3)).unsqueeze(1)).squeeze(1).sigmoid()
        return self.head(self.c(x * gate[:, :, None, None]).mean((2, 3)))


class Inception(nn.Module):
    """Four branches, factorised 1x7 and 7x1 kernels, an auxiliary classifier."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = conv(3, 2 * w, 3, 2)
        self.one, self.pool = conv(2 * w, w, 1), conv(2 * w, w, 1)
        self.three = nn.Sequential(conv(2 * w, w, 1), conv(w, 2 * w))
        self.seven = nn.Sequential(
            conv(2 * w, w, 1),
            nn.Conv2d(w, w, (1, 7), padding=(0, 3)),
            nn.Conv2d(w, 2 * w, (7, 1), padding=(3, 0)),
            nn.ReLU(),
        )
        self.reduce, self.aux, self.head = conv(6 * w, 6 * w, 3, 2), nn.Linear(6 * w, 10), nn.Linear(8 * w, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stem(x)
        y = torch.cat([self.one(x), self.three(x), self.seven(x), self.pool(F.avg_pool2d(x, 3, 1, 1))], 1)
        z = torch.cat([self.reduce(y), F.max_pool2d(x, 3, 2, 1)], 1)
        return self.head(z.mean((2, 3))), self.aux(y.mean((2, 3)))


class SqueezeNet(nn.Module):
    """Fire modules; the classifier is a convolution that is averaged."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = conv(3, 2 * w, 3, 2)
        self.fires = nn.ModuleList()
        i = 2 * w
        for s in (w, w, 2 * w):
            self.fires.append(
                nn.ModuleList([nn.Conv2d(i, s, 1), nn.Conv2d(s, 2 * s, 1), nn.Conv2d(s, 2 * s, 3, padding=1)])
            )
            i = 4 * s
        self.head = nn.Conv2d(i, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(x), 3, 2, ceil_mode=True)
        for squeeze, one, three in self.fires:
            s = F.relu(squeeze(x))
            y = torch.cat([F.relu(one(s)), F.relu(three(s))], 1)
            x = x + y if x.shape == y.shape else y
        return F.relu(self.head(x)).mean((2, 3))


class NasNet(nn.Module):
    """A cell of separable convolutions whose nodes add two earlier ones; strided parallel paths are concatenated."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.p, self.q = conv(3, w), conv(w, 2 * w, 1), conv(w, 2 * w, 3, 2)
        self.left, self.right = nn.Conv2d(2 * w, w, 1, bias=False), nn.Conv2d(2 * w, w, 1, bias=False)
        self.s = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(2 * w, 2 * w, k, 1, k // 2, groups=2 * w, bias=False),
                nn.Conv2d(2 * w, 2 * w, 1, bias=False),
                nn.BatchNorm2d(2 * w),
            )
            for k in (3, 5, 3)
        )
        self.bn, self.head = nn.BatchNorm2d(2 * w), nn.Linear(8 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        h, previous = self.q(x), F.relu(self.p(x))
        a = self.left(F.avg_pool2d(previous, 1, 2))
        b = self.right(F.avg_pool2d(F.pad(previous, (0, 1, 0, 1))[:, :, 1:, 1:], 1, 2))
        previous = self.bn(torch.cat([a, b], 1))
        one = self.s[0](h) + previous
        two = self.s[1](previous) + F.avg_pool2d(h, 3, 1, 1, count_include_pad=False)
        three = self.s[2](one) + h
        return self.head(F.relu(torch.cat([previous, one, two, three], 1)).mean((2, 3)))


class RepVgg(nn.Module):
    """Three parallel branches, one of which is BatchNorm alone."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = conv(3, 2 * w, 3, 2)
        self.a, self.b, self.n = (
            conv(2 * w, 2 * w, act=nn.Identity()),
            conv(2 * w, 2 * w, 1, act=nn.Identity()),
            nn.BatchNorm2d(2 * w),
        )
        self.c, self.head = conv(2 * w, 4 * w, 3, 2), nn.Linear(4 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(self.c(F.relu(self.a(x) + self.b(x) + self.n(x))).mean((2, 3)))


class PoolFormer(nn.Module):
    """Token mixing by average pooling minus identity, group normalisation of one group, layer scale."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 2 * w
        self.patch = nn.Conv2d(3, d, 7, 4, 2)
        self.n1, self.n2, self.scale = nn.GroupNorm(1, d), nn.GroupNorm(1, d), nn.Parameter(torch.randn(2, d))
        self.a, self.b, self.head = nn.Conv2d(d, 4 * d, 1), nn.Conv2d(4 * d, d, 1), nn.Linear(d, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x)
        y = self.n1(x)
        x = x + self.scale[0][:, None, None] * (F.avg_pool2d(y, 3, 1, 1, count_include_pad=False) - y)
        x = x + self.scale[1][:, None, None] * self.b(F.gelu(self.a(self.n2(x))))
        return self.head(x.mean((-2, -1)))


class DynamicConv(nn.Module):
    """Branches mixed by attention from pooled features, then a blur pool over flattened channels."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.route, self.head = conv(3, w), nn.Linear(w, 3), nn.Linear(2 * w, 10)
        self.branches = nn.ModuleList(nn.Conv2d(w, 2 * w, 3, padding=1) for _ in range(3))
        blur = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("blur", (blur[:, None] * blur)[None, None] / 16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        gate = self.route(x.mean((2, 3))).softmax(1)
        y = sum(gate[:, i, None, None, None] * branch(x) for i, branch in enumerate(self.branches))
        b, c, h, w = y.shape
        y = F.conv2d(F.pad(y.reshape(b * c, 1, h, w), (1, 1, 1, 1), mode="reflect"), self.blur, stride=2)
        return self.head(F.relu(y.reshape(b, c, h // 2, w // 2)).mean((2, 3)))


class NonLocal(nn.Module):
    """Self-attention over positions by 1x1 convolutions, half the channels inside."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = conv(3, 2 * w, 3, 4)
        self.o = nn.Conv2d(w, 2 * w, 1)
        self.q, self.k, self.v = (nn.Conv2d(2 * w, w, 1) for _ in range(3))
        self.head = nn.Linear(2 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        b, _, h, w = x.shape
        q, k, v = (f(x).flatten(2) for f in (self.q, self.k, self.v))
        a = torch.softmax(q.transpose(1, 2) @ k, -1)
        y = (v @ a.transpose(1, 2)).view(b, -1, h, w)
        return self.head((x + self.o(y)).mean((2, 3)))


FAMILIES = {
    "efficientnet": EfficientNet,
    "regnet": RegNet,
    "csp": CspNet,
    "eca": Eca,
    "inception": Inception,
    "squeezenet": SqueezeNet,
    "nasnet": NasNet,
    "repvgg": RepVgg,
    "poolformer": PoolFormer,
    "dynamic-conv": DynamicConv,
    "nonlocal": NonLocal,
}
