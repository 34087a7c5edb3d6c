"""Networks of time series, tables and graphs."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from families.attention import RmsNorm


class Tcn(nn.Module):
    """Causal dilated convolutions whose padding is chomped off, residual blocks."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.b, self.short = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        i = 6
        for level, o in enumerate((w, w, 2 * w)):
            self.a.append(nn.Conv1d(i, o, 3, padding=2 * 2**level, dilation=2**level))
            self.b.append(nn.Conv1d(o, o, 3, padding=2 * 2**level, dilation=2**level))
            self.short.append(nn.Conv1d(i, o, 1) if i != o else nn.Identity())
            i = o
        self.head = nn.Linear(i, 4)

    def forward(self, x: Tensor) -> Tensor:
        for level, (a, b, short) in enumerate(zip(self.a, self.b, self.short, strict=True)):
            chomp = 2 * 2**level
            y = F.relu(b(F.relu(a(x)[:, :, :-chomp]))[:, :, :-chomp])
            x = F.relu(y + short(x))
        return self.head(x[:, :, -1])


class WaveNet(nn.Module):
    """Gated dilated convolutions with residual and skip outputs from one layer."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.w = w
        self.stem = nn.Conv1d(6, w, 1)
        self.wide = nn.ModuleList(nn.Conv1d(w, 2 * w, 2, dilation=2**i) for i in range(3))
        self.out = nn.ModuleList(nn.Conv1d(w, 2 * w, 1) for _ in range(3))
        self.a, self.b = nn.Conv1d(w, 2 * w, 1), nn.Conv1d(2 * w, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, total = self.stem(x), None
        for i, (wide, out) in enumerate(zip(self.wide, self.out, strict=True)):
            y = wide(F.pad(x, (2**i, 0)))
            y = torch.tanh(y[:, : self.w]) * torch.sigmoid(y[:, self.w :])
            residual, skip = out(y).split(self.w, 1)
            x, total = x + residual, skip if total is None else total + skip
        return self.b(F.relu(self.a(F.relu(total))))


class Mamba(nn.Module):
    """A selective state space: causal depthwise convolution, input-dependent steps, a scan that is unrolled."""

    def __init__(self, w: int, state: int = 4) -> None:
        super().__init__()
        d, self.state = 2 * w, state
        self.inp, self.n, self.xz = nn.Linear(6, d), RmsNorm(d), nn.Linear(d, 4 * d, bias=False)
        self.dw, self.x, self.dt = (
            nn.Conv1d(2 * d, 2 * d, 4, padding=3, groups=2 * d),
            nn.Linear(2 * d, d // 2 + 2 * state, bias=False),
            nn.Linear(d // 2, 2 * d),
        )
        self.a, self.skip, self.o, self.head = (
            nn.Parameter(torch.rand(2 * d, state)),
            nn.Parameter(torch.rand(2 * d)),
            nn.Linear(2 * d, d),
            nn.Linear(d, 4),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        t = x.shape[1]
        u, z = self.xz(self.n(x)).chunk(2, -1)
        u = F.silu(self.dw(u.transpose(1, 2))[..., :t].transpose(1, 2))
        rest, b, c = self.x(u).split((self.x.out_features - 2 * self.state, self.state, self.state), -1)
        dt = F.softplus(self.dt(rest))
        decay = torch.exp(dt.unsqueeze(-1) * -torch.exp(self.a))
        drive = dt.unsqueeze(-1) * b.unsqueeze(2) * u.unsqueeze(-1)
        h, out = torch.zeros_like(drive[:, 0]), []
        for i in range(t):
            h = decay[:, i] * h + drive[:, i]
            out.append((h * c[:, i].unsqueeze(1)).sum(-1))
        y = (torch.stack(out, 1) + u * self.skip) * F.silu(z)
        return self.head(x + self.o(y))


class Seq2Seq(nn.Module):
    """A bidirectional GRU encoder, additive attention, a GRU cell written out."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 2 * w
        self.embed, self.encoder, self.bridge = (
            nn.Embedding(30, d),
            nn.GRU(d, d, bidirectional=True, batch_first=True),
            nn.Linear(2 * d, d),
        )
        self.wa, self.ua, self.va = nn.Linear(d, d), nn.Linear(2 * d, d), nn.Linear(d, 1, bias=False)
        self.decoder, self.head = nn.LSTM(3 * d, d, batch_first=True), nn.Linear(d, 30)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        memory, last = self.encoder(x)
        h = torch.tanh(self.bridge(torch.cat([last[0], last[1]], -1)))
        score = self.va(torch.tanh(self.wa(h).unsqueeze(1) + self.ua(memory))).softmax(1)
        context = (score * memory).sum(1, keepdim=True).expand(-1, ids.shape[1], -1)
        y, _ = self.decoder(torch.cat([x, context], -1), (h.unsqueeze(0), torch.zeros_like(h).unsqueeze(0)))
        return self.head(y)


class LstmCells(nn.Module):
    """LSTM and GRU cells unrolled by hand: gates by chunk of one product."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.LSTMCell(6, 2 * w), nn.GRUCell(2 * w, 2 * w), nn.Linear(2 * w, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[0], self.a.hidden_size)
        g = x.new_zeros(x.shape[0], self.b.hidden_size)
        for i in range(4):
            h, c = self.a(x[:, i], (h, c))
            g = self.b(h, g)
        return self.head(g)


class TiedAutoencoder(nn.Module):
    """The decoder's matrices are the encoder's transposed; variational: mean and spread from one layer."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.b, self.code = nn.Linear(40, 4 * w), nn.Linear(4 * w, 2 * w), nn.Linear(2 * w, 2 * w)
        self.grow = nn.Linear(w, 2 * w)
        self.c, self.d = nn.Parameter(torch.randn(4 * w)), nn.Parameter(torch.randn(40))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, spread = self.code(F.relu(self.b(F.relu(self.a(x))))).chunk(2, 1)
        z = F.relu(self.grow(mean + torch.exp(0.5 * spread)))
        y = F.relu(F.linear(z, self.b.weight.T, self.c))
        return torch.sigmoid(F.linear(y, self.a.weight.T, self.d)), (mean * mean + spread).sum(1)


class Experts(nn.Module):
    """A mixture of experts, dense: gates by softmax of the top two, experts as one stacked weight and as a list."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.inp, self.route = nn.Linear(8, d), nn.Linear(d, 4)
        self.up, self.down = nn.Parameter(torch.randn(4, d, 2 * d) * 0.1), nn.Parameter(torch.randn(4, 2 * d, d) * 0.1)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(d, 2 * d), nn.ReLU(), nn.Linear(2 * d, d)) for _ in range(2)
        )
        self.head = nn.Linear(d, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        weights, chosen = self.route(x).softmax(-1).topk(2, -1)
        gate = torch.zeros(x.shape[0], 4).scatter(1, chosen, weights)
        h = F.silu(torch.einsum("bd,edh->beh", x, self.up))
        y = (torch.einsum("beh,ehd->bed", h, self.down) * gate.unsqueeze(-1)).sum(1)
        for i, expert in enumerate(self.experts):
            y = y + gate[:, i : i + 1] * expert(x)
        return self.head(x + y)


class Bmm(nn.Module):
    """Experts by batched products, a low-rank adapter beside a layer, a fixed random projection."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.inp, self.base, self.a, self.b = (
            nn.Linear(8, d),
            nn.Linear(d, d),
            nn.Linear(d, w, bias=False),
            nn.Linear(w, d, bias=False),
        )
        self.up, self.down, self.head = (
            nn.Parameter(torch.randn(3, d, d)),
            nn.Parameter(torch.randn(3, d, d)),
            nn.Linear(d, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        x = F.gelu(self.base(x) + 2.0 * self.b(self.a(x)))
        y = torch.bmm(F.relu(torch.bmm(x.unsqueeze(0).expand(3, -1, -1), self.up)), self.down)
        return self.head(y.mean(0))


class GraphConv(nn.Module):
    """Message passing over a dense adjacency, attention by sums of two projections (GAT), gated update."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 2 * w
        self.a, self.l, self.r, self.b, self.head = (
            nn.Linear(6, d),
            nn.Linear(d, 1),
            nn.Linear(d, 1),
            nn.Linear(d, d),
            nn.Linear(d, 3),
        )
        self.gru = nn.GRUCell(d, d)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        h = self.a(x)
        score = F.leaky_relu(self.l(h) + self.r(h).transpose(0, 1)).masked_fill(adjacency < 0, -1e9).softmax(-1)
        return self.head(self.gru(score @ self.b(h), h))


class DeepFm(nn.Module):
    """Embeddings of fields, their pairwise products, a deep part; several integer inputs."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(20, w) for _ in range(3))
        self.deep = nn.Sequential(
            nn.Linear(3 * w + 5, 4 * w), nn.ReLU(), nn.Linear(4 * w, 2 * w), nn.ReLU(), nn.Linear(2 * w, 1)
        )

    def forward(self, ids: Tensor, x: Tensor) -> Tensor:
        e = torch.stack([table(ids[:, i]) for i, table in enumerate(self.tables)], 1)
        pairs = 0.5 * (e.sum(1).pow(2) - e.pow(2).sum(1)).sum(1, keepdim=True)
        return torch.sigmoid(pairs + self.deep(torch.cat([e.flatten(1), x], 1)))


FAMILIES = {
    "tcn": Tcn,
    "wavenet": WaveNet,
    "mamba": Mamba,
    "seq2seq": Seq2Seq,
    "cells": LstmCells,
    "tied-autoencoder": TiedAutoencoder,
    "experts": Experts,
    "bmm": Bmm,
    "graph": GraphConv,
    "deepfm": DeepFm,
}
