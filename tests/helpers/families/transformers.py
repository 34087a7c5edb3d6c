"""Transformers, and what comes close to them."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from families.attention import RmsNorm
from families.layers import conv


class Gpt(nn.Module):
    """Learnt positions, causal attention with fused qkv by `split`, tied embedding."""

    def __init__(self, w: int, heads: int = 4) -> None:
        super().__init__()
        d = 4 * w
        self.heads = heads
        self.embed, self.place = nn.Embedding(40, d), nn.Embedding(12, d)
        self.n1, self.n2, self.n3 = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
        self.register_buffer("causal", torch.tril(torch.ones(12, 12)).view(1, 1, 12, 12))

    def forward(self, ids: Tensor) -> Tensor:
        b, t = ids.shape
        x = self.embed(ids) + self.place(torch.arange(t))
        d = x.shape[-1]
        q, k, v = self.qkv(self.n1(x)).split(d, 2)
        q, k, v = (y.view(b, t, self.heads, d // self.heads).transpose(1, 2) for y in (q, k, v))
        a = (q @ k.transpose(-2, -1)) / math.sqrt(d // self.heads)
        a = a.masked_fill(self.causal[:, :, :t, :t] == 0, float("-inf")).softmax(-1)
        x = x + self.proj((a @ v).transpose(1, 2).contiguous().view(b, t, d))
        x = x + self.down(F.gelu(self.up(self.n2(x)), approximate="tanh"))
        return F.linear(self.n3(x), self.embed.weight)


class Llama(nn.Module):
    """Grouped queries through `scaled_dot_product_attention`, interleaved rotary positions, SwiGLU from one matrix."""

    def __init__(self, w: int, heads: int = 4, kv: int = 2) -> None:
        super().__init__()
        d = 8 * w
        self.heads, self.kv, self.size = heads, kv, d // heads
        self.embed, self.n1, self.n2 = nn.Embedding(40, d), RmsNorm(d), RmsNorm(d)
        self.qkv, self.o = nn.Linear(d, (heads + 2 * kv) * self.size, bias=False), nn.Linear(d, d, bias=False)
        self.gate_up, self.down, self.head = (
            nn.Linear(d, 4 * d, bias=False),
            nn.Linear(2 * d, d, bias=False),
            nn.Linear(d, 40, bias=False),
        )
        angle = torch.arange(12)[:, None] / 100 ** (torch.arange(self.size // 2) / (self.size // 2))
        self.register_buffer("cos", torch.cos(angle))
        self.register_buffer("sin", torch.sin(angle))

    def rotate(self, x: Tensor) -> Tensor:
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack((a * self.cos - b * self.sin, a * self.sin + b * self.cos), -1).flatten(-2)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        b, t, d = x.shape
        n = self.size
        q, k, v = self.qkv(self.n1(x)).split((self.heads * n, self.kv * n, self.kv * n), -1)
        q = self.rotate(q.view(b, t, self.heads, n).transpose(1, 2))
        k = self.rotate(k.view(b, t, self.kv, n).transpose(1, 2))
        v = v.view(b, t, self.kv, n).transpose(1, 2)
        k, v = (
            y[:, :, None].expand(b, self.kv, self.heads // self.kv, t, n).reshape(b, self.heads, t, n) for y in (k, v)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, d))
        gate, up = self.gate_up(self.n2(x)).chunk(2, -1)
        return self.head(x + self.down(F.silu(gate) * up))


class T5(nn.Module):
    """Relative positions from a table of buckets, an encoder and a decoder with cross-attention, RMS norms."""

    def __init__(self, w: int, heads: int = 4) -> None:
        super().__init__()
        d = 4 * w
        self.heads, self.embed, self.bias = heads, nn.Embedding(40, d), nn.Embedding(8, heads)
        self.q, self.k, self.v, self.o = (
            nn.ModuleList(nn.Linear(d, d, bias=False) for _ in range(3)) for _ in range(4)
        )
        self.n = nn.ModuleList(RmsNorm(d) for _ in range(4))
        self.up, self.down = nn.Linear(d, 2 * d, bias=False), nn.Linear(2 * d, d, bias=False)
        self.head = nn.Linear(d, 40, bias=False)

    def attend(self, i: int, x: Tensor, y: Tensor, bias: Tensor | float) -> Tensor:
        b, t, d = x.shape
        q, k, v = (
            f[i](z).view(b, -1, self.heads, d // self.heads).transpose(1, 2)
            for f, z in ((self.q, x), (self.k, y), (self.v, y))
        )
        a = (q @ k.transpose(3, 2) + bias).softmax(-1)
        return self.o[i]((a @ v).transpose(1, 2).reshape(b, t, d))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        x, y = self.embed(source), self.embed(target)
        t = x.shape[1]
        buckets = (torch.arange(t)[None] - torch.arange(t)[:, None]).abs().clamp(max=7)
        bias = self.bias(buckets).permute(2, 0, 1)[None]
        h = self.n[0](x)
        x = x + self.attend(0, h, h, bias)
        x = x + self.down(F.relu(self.up(self.n[1](x))))
        h = self.n[2](y)
        y = y + self.attend(1, h, h, 0.0)
        y = y + self.attend(2, self.n[3](y), x, 0.0)
        return self.head(y * y.shape[-1] ** -0.5)


class Bert(nn.Module):
    """`nn.TransformerEncoderLayer`, post-norm, padding mask, a pooler on the first token, a tied output with a bias."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.words, self.kinds, self.norm = nn.Embedding(40, d), nn.Embedding(2, d), nn.LayerNorm(d)
        self.layer = nn.TransformerEncoderLayer(d, 4, 4 * d, batch_first=True, activation="gelu")
        self.pool, self.relation = nn.Linear(d, d), nn.Linear(d, 2)
        self.transform, self.n2, self.bias = nn.Linear(d, d), nn.LayerNorm(d), nn.Parameter(torch.randn(40))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x = self.norm(self.words(ids) + self.kinds((ids > 20).long()))
        x = self.layer(x)
        words = self.n2(F.gelu(self.transform(x))) @ self.words.weight.T + self.bias
        return words, self.relation(torch.tanh(self.pool(x[:, 0])))


class Detr(nn.Module):
    """Convolutions, then `nn.Transformer` with learnt queries; boxes and classes from every query."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.body, self.inp = nn.Sequential(conv(3, w, 3, 4), conv(w, 2 * w, 3, 2)), nn.Conv2d(2 * w, d, 1)
        self.queries, self.row, self.column = (
            nn.Parameter(torch.rand(n, m)) for n, m in ((5, d), (8, d // 2), (8, d // 2))
        )
        self.transformer = nn.Transformer(d, 4, 1, 1, 2 * d, batch_first=True)
        self.classes, self.boxes = nn.Linear(d, 4), nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 4))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.inp(self.body(x))
        rows, columns = h.shape[-2:]
        place = torch.cat(
            [self.column[:columns].unsqueeze(0).repeat(rows, 1, 1), self.row[:rows].unsqueeze(1).repeat(1, columns, 1)],
            -1,
        )
        y = self.transformer(
            place.flatten(0, 1).unsqueeze(0) + 0.1 * h.flatten(2).transpose(1, 2), self.queries.unsqueeze(0)
        )
        return self.classes(y), self.boxes(y).sigmoid()


class MobileVit(nn.Module):
    """Convolutions, patches unfolded into a batch of sequences, attention, folded back and concatenated."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.w, self.d = w, d
        self.stem, self.local, self.inp = conv(3, 2 * w, 3, 2), conv(2 * w, 2 * w), nn.Conv2d(2 * w, d, 1)
        self.n, self.qkv, self.o = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.out, self.join, self.head = conv(d, 2 * w, 1), conv(4 * w, 2 * w), nn.Linear(2 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.inp(self.local(x))
        b, d, h, w = y.shape
        y = (
            y.reshape(b * d * h // 2, 2, w // 2, 2)
            .transpose(1, 2)
            .reshape(b, d, h * w // 4, 4)
            .transpose(1, 3)
            .reshape(b * 4, h * w // 4, d)
        )
        z = self.n(y)
        q, k, v = self.qkv(z).chunk(3, -1)
        q, k, v = (t.reshape(b * 4, -1, 4, d // 4).transpose(1, 2) for t in (q, k, v))
        a = (q @ k.transpose(-1, -2) * (d // 4) ** -0.5).softmax(-1) @ v
        y = y + self.o(a.transpose(1, 2).reshape(b * 4, -1, d))
        y = (
            y.view(b, 4, h * w // 4, d)
            .transpose(1, 3)
            .reshape(b * d * h // 2, w // 2, 2, 2)
            .transpose(1, 2)
            .reshape(b, d, h, w)
        )
        return self.head(self.join(torch.cat([x, self.out(y)], 1)).mean((2, 3)))


class GMlp(nn.Module):
    """Spatial gating: half the channels, normalised and mixed over positions, gate the other half."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.inp, self.n, self.a, self.gate = (
            nn.Linear(10, d),
            nn.LayerNorm(d),
            nn.Linear(d, 4 * d),
            nn.LayerNorm(2 * d),
        )
        self.place, self.b, self.head = nn.Conv1d(9, 9, 1), nn.Linear(2 * d, d), nn.Linear(d, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        u, v = F.gelu(self.a(self.n(x))).chunk(2, -1)
        return self.head((x + self.b(u * self.place(self.gate(v)))).mean(1))


class Perceiver(nn.Module):
    """A latent array cross-attends to the inputs through `nn.MultiheadAttention` with other key and value widths."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.latent, self.inp = nn.Parameter(torch.randn(1, 5, d)), nn.Linear(7, 2 * w)
        self.cross = nn.MultiheadAttention(d, 4, kdim=2 * w, vdim=2 * w, batch_first=True)
        self.n, self.mlp, self.head = (
            nn.LayerNorm(d),
            nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d)),
            nn.Linear(d, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.inp(x)
        y = self.latent + self.cross(self.latent, h, h)[0]
        return self.head((y + self.mlp(self.n(y))).mean(1))


FAMILIES = {
    "gpt": Gpt,
    "llama": Llama,
    "t5": T5,
    "bert": Bert,
    "detr": Detr,
    "mobilevit": MobileVit,
    "gmlp": GMlp,
    "perceiver": Perceiver,
}
