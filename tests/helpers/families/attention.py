"""Networks of attention."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class FusedAttention(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = ((q @ k.transpose(-2, -1)) * (d // self.heads) ** -0.5).softmax(-1)
        return self.proj((a @ v).transpose(1, 2).reshape(b, n, d))


class SdpaAttention(nn.Module):
    def __init__(self, d: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.proj = (nn.Linear(d, d) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = (f(x).view(b, n, self.heads, d // self.heads).transpose(1, 2) for f in (self.q, self.k, self.v))
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d))


class Encoder(nn.Module):
    def __init__(self, d: int, attention: type[nn.Module], heads: int = 4) -> None:
        super().__init__()
        self.n1, self.n2, self.attention = nn.LayerNorm(d), nn.LayerNorm(d), attention(d, heads)
        self.mlp = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.n1(x))
        return x + self.mlp(self.n2(x))


class Vit(nn.Module):
    def __init__(self, w: int, attention: type[nn.Module] = FusedAttention) -> None:
        super().__init__()
        d = 4 * w
        self.patch = nn.Conv2d(3, d, 4, 4)
        self.token, self.place = nn.Parameter(torch.randn(1, 1, d)), nn.Parameter(torch.randn(1, 65, d))
        self.body = nn.Sequential(Encoder(d, attention), Encoder(d, attention))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.norm(self.body(x))[:, 0])


class RmsNorm(nn.Module):
    def __init__(self, d: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Rope(nn.Module):
    """Grouped-query attention with rotary positions, RMS norm, gated MLP, tied embedding: a small decoder."""

    def __init__(self, w: int, heads: int = 4, kv: int = 2, vocab: int = 50) -> None:
        super().__init__()
        d = 8 * w
        self.heads, self.kv, self.size = heads, kv, d // heads
        self.embed = nn.Embedding(vocab, d)
        self.q, self.k, self.v = (nn.Linear(d, n * self.size, bias=False) for n in (heads, kv, kv))
        self.o, self.n1, self.n2 = nn.Linear(d, d, bias=False), RmsNorm(d), RmsNorm(d)
        self.gate, self.up, self.down = nn.Linear(d, 2 * d), nn.Linear(d, 2 * d), nn.Linear(2 * d, d)
        angle = torch.arange(16)[:, None] / 100 ** (torch.arange(self.size // 2) / (self.size // 2))
        self.register_buffer("cos", torch.cos(torch.cat([angle, angle], -1)))
        self.register_buffer("sin", torch.sin(torch.cat([angle, angle], -1)))

    def rotate(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, -1)
        return x * self.cos + torch.cat([-b, a], -1) * self.sin

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        b, t, d = x.shape
        h = self.n1(x)
        q = self.rotate(self.q(h).view(b, t, self.heads, self.size).transpose(1, 2))
        k = self.rotate(self.k(h).view(b, t, self.kv, self.size).transpose(1, 2))
        v = self.v(h).view(b, t, self.kv, self.size).transpose(1, 2)
        k, v = (y.repeat_interleave(self.heads // self.kv, 1) for y in (k, v))
        mask = torch.full((t, t), float("-inf")).triu(1)
        a = (q @ k.transpose(-1, -2) / self.size**0.5 + mask).softmax(-1) @ v
        x = x + self.o(a.transpose(1, 2).reshape(b, t, d))
        h = self.n2(x)
        x = x + self.down(F.silu(self.gate(h)) * self.up(h))
        return F.linear(x, self.embed.weight)


class Swin(nn.Module):
    """Window attention with a relative bias, a shift by roll, patch merging by strided slices."""

    def __init__(self, w: int) -> None:
        super().__init__()
        d = 4 * w
        self.d, self.heads = d, 4
        self.patch, self.norm = nn.Conv2d(3, d, 4, 4), nn.LayerNorm(d)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.bias = nn.Parameter(torch.randn(4, 16, 16))
        self.merge_norm, self.merge, self.head = (
            nn.LayerNorm(4 * d),
            nn.Linear(4 * d, 2 * d, bias=False),
            nn.Linear(2 * d, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).permute(0, 2, 3, 1)
        y = torch.roll(self.norm(x), (-2, -2), (1, 2))
        b, h, w, d = y.shape
        y = y.view(b, h // 4, 4, w // 4, 4, d).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, d)
        q, k, v = self.qkv(y).reshape(-1, 16, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        a = (q * (d // self.heads) ** -0.5) @ k.transpose(-2, -1) + self.bias
        y = self.proj((a.softmax(-1) @ v).transpose(1, 2).reshape(-1, 16, d))
        y = y.view(b, h // 4, w // 4, 4, 4, d).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, d)
        x = x + torch.roll(y, (2, 2), (1, 2))
        x = torch.cat([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]], -1)
        return self.head(self.merge(self.merge_norm(x)).mean((1, 2)))


class LinearAttention(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.inp = nn.Linear(12, 4 * w)
        self.q, self.k, self.v, self.out = (nn.Linear(4 * w, 4 * w) for _ in range(4))
        self.head = nn.Linear(4 * w, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inp(x)
        b, n, d = x.shape
        q, k, v = (f(x).view(b, n, 4, d // 4).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = F.elu(q) + 1, F.elu(k) + 1
        y = q @ (k.transpose(-1, -2) @ v) / (q @ k.sum(2, keepdim=True).transpose(-1, -2) + 1e-6)
        return self.head(x + self.out(y.transpose(1, 2).reshape(b, n, d)))
