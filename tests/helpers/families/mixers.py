"""Convolution, attention and products over places, mixed."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class ConvNextBlock(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.dw, self.norm = nn.Conv2d(d, d, 7, padding=3, groups=d), nn.LayerNorm(d)
        self.a, self.b, self.gamma = nn.Linear(d, 4 * d), nn.Linear(4 * d, d), nn.Parameter(torch.randn(d))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dw(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.b(F.gelu(self.a(y)))).permute(0, 3, 1, 2)


class ChannelNorm(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(c)), nn.Parameter(torch.randn(c))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        spread = (x - mean).pow(2).mean(1, keepdim=True)
        return self.weight[:, None, None] * ((x - mean) / torch.sqrt(spread + 1e-6)) + self.bias[:, None, None]


class ConvNext(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, w, 4, 4), ChannelNorm(w), ConvNextBlock(w), ConvNextBlock(w),
            ChannelNorm(w), nn.Conv2d(w, 2 * w, 2, 2), ConvNextBlock(2 * w),
        )  # fmt: skip
        self.norm, self.head = nn.LayerNorm(2 * w), nn.Linear(2 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.body(x).mean((2, 3))))


class Mixer(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.patch, self.n1, self.n2 = nn.Conv2d(3, d, 8, 8), nn.LayerNorm(d), nn.LayerNorm(d)
        self.tokens = nn.Sequential(nn.Linear(16, 2 * w), nn.GELU(), nn.Linear(2 * w, 16))
        self.channels = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.head = nn.Linear(d, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.n1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.n2(x))
        return self.head(x.mean(1))


class Conformer(nn.Module):
    """Convolution over time with a gated linear unit, attention from `nn.MultiheadAttention`, three dimensions."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.inp, self.n1, self.n2, self.n3 = nn.Linear(20, d), nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.mha = nn.MultiheadAttention(d, 4, batch_first=True)
        self.a, self.dw, self.bn, self.b = (
            nn.Conv1d(d, 2 * d, 1),
            nn.Conv1d(d, d, 7, padding=3, groups=d),
            nn.BatchNorm1d(d),
            nn.Conv1d(d, d, 1),
        )
        self.head = nn.Linear(d, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        h = self.n1(x)
        x = x + self.mha(h, h, h, need_weights=False)[0]
        h = self.n2(x).transpose(1, 2)
        x = x + self.b(F.silu(self.bn(self.dw(F.glu(self.a(h), 1))))).transpose(1, 2)
        return self.head(self.n3(x))
