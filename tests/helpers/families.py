"""Small torch networks in the style of known families, each at a width: at half the width every axis is halved.

`FAMILIES[name]` makes one; `INPUTS[name]` its example inputs. Initialisation is random everywhere, biases and
BatchNorm statistics included, so that nothing is equal by accident.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def conv(
    i: int, o: int, k: int = 3, s: int = 1, g: int = 1, *, act: nn.Module | None = None, d: int = 1
) -> nn.Sequential:
    """Return convolution, BatchNorm, activation (ReLU unless given)."""
    layers = [
        nn.Conv2d(i, o, k, s, d * (k // 2), groups=g, bias=False, dilation=d),
        nn.BatchNorm2d(o),
        act or nn.ReLU(),
    ]
    return nn.Sequential(*layers)


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


class Se(nn.Module):
    def __init__(self, c: int, m: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(c, m, 1), nn.Conv2d(m, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.b(F.relu(self.a(x.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    def __init__(self, i: int, o: int, s: int, se: bool) -> None:
        super().__init__()
        e = 4 * i
        act: type[nn.Module] = nn.Hardswish if se else nn.ReLU6
        gate: list[nn.Module] = [Se(e, e // 4)] if se else []
        self.body = nn.Sequential(
            conv(i, e, 1, act=act()), conv(e, e, 3, s, e, act=act()), *gate, conv(e, o, 1, act=nn.Identity())
        )
        self.same = s == 1 and i == o

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.same else self.body(x)


class MobileNet(nn.Module):
    def __init__(self, w: int, se: bool = False) -> None:
        super().__init__()
        blocks = [Inverted(w, w, 1, se), Inverted(w, 2 * w, 2, se), Inverted(2 * w, 2 * w, 1, se)]
        self.body = nn.Sequential(conv(3, w, 3, 2), *blocks, conv(2 * w, 8 * w, 1))
        self.head = nn.Linear(8 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


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


def shuffle(x: Tensor, groups: int) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)


class ShuffleUnit(nn.Module):
    def __init__(self, c: int, down: bool) -> None:
        super().__init__()
        h = c if down else c // 2
        self.down = down
        s = 2 if down else 1
        self.right = nn.Sequential(conv(h, c, 1), conv(c, c, 3, s, c, act=nn.Identity()), conv(c, h, 1))
        if down:
            self.left = nn.Sequential(conv(c, c, 3, 2, c, act=nn.Identity()), conv(c, c, 1))

    def forward(self, x: Tensor) -> Tensor:
        if self.down:
            return shuffle(torch.cat([self.left(x), self.right(x)], 1), 2)
        left, right = x.chunk(2, 1)
        return shuffle(torch.cat([left, self.right(right)], 1), 2)


class ShuffleNet(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, w, 3, 2),
            ShuffleUnit(w, True),
            ShuffleUnit(2 * w, False),
            ShuffleUnit(2 * w, False),
            conv(2 * w, 4 * w, 1),
        )
        self.head = nn.Linear(4 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).mean((2, 3)))


class ShuffleV1(nn.Module):
    """Grouped 1x1 convolutions with a shuffle between them."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = conv(3, 4 * w)
        self.a, self.b = conv(4 * w, 4 * w, 1, g=4), conv(4 * w, 4 * w, 3, g=4 * w, act=nn.Identity())
        self.c, self.head = conv(4 * w, 4 * w, 1, g=4, act=nn.Identity()), nn.Linear(4 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = F.relu(x + self.c(self.b(shuffle(self.a(x), 4))))
        return self.head(x.mean((2, 3)))


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


class Recurrent(nn.Module):
    def __init__(self, w: int, kind: type[nn.Module] = nn.LSTM, both: bool = False) -> None:
        super().__init__()
        self.rnn = kind(12, 2 * w, num_layers=2, batch_first=True, bidirectional=both)
        self.head = nn.Linear(2 * w * (2 if both else 1), 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


# Further families: not in the list that the pass was first written for.


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


class ManualShuffle(nn.Module):
    """A pixel shuffle written with reshapes."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(3, w), nn.Conv2d(w, 8 * w, 1), nn.Conv2d(2 * w, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.a(x))
        b, c, h, w = x.shape
        x = x.view(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(b, c // 4, 2 * h, 2 * w)
        return self.c(F.relu(x))


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


class Ghost(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.a, self.cheap = conv(3, w), conv(w, w, 1), conv(w, w, 3, g=w)
        self.b, self.head = conv(2 * w, 2 * w, 1), nn.Linear(2 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(self.stem(x))
        return self.head(self.b(torch.cat([x, self.cheap(x)], 1)).mean((2, 3)))


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


class Crnn(nn.Module):
    """Convolutions, then recurrence over the image's columns."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(1, w), nn.MaxPool2d(2), conv(w, 2 * w), nn.MaxPool2d((2, 1)))
        self.rnn, self.head = nn.GRU(2 * w * 4, 2 * w, bidirectional=True), nn.Linear(4 * w, 11)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        b, c, h, w = x.shape
        return self.head(self.rnn(x.permute(3, 0, 1, 2).reshape(w, b, c * h))[0]).log_softmax(-1)


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


KNOWN = {
    "vgg": Vgg,
    "resnet18": ResNet,
    "bottleneck": lambda w: ResNet(w, "bottleneck"),
    "resnext": lambda w: ResNet(w, "bottleneck", 4),
    "mobilenetv2": MobileNet,
    "mobilenetv3": lambda w: MobileNet(w, True),
    "densenet": DenseNet,
    "yolo": Yolo,
    "shufflenet": ShuffleNet,
    "unet": UNet,
    "vit": Vit,
    "convnext": ConvNext,
    "lstm": Recurrent,
}
FURTHER = {
    "shufflev1": ShuffleV1,
    "bilstm": lambda w: Recurrent(w, nn.LSTM, True),
    "gru": lambda w: Recurrent(w, nn.GRU),
    "bigru": lambda w: Recurrent(w, nn.GRU, True),
    "vit-sdpa": lambda w: Vit(w, SdpaAttention),
    "cbam": Cbam,
    "gated": Gated,
    "pixelshuffle": ManualShuffle,
    "groupnorm": GroupNormNet,
    "rope": Rope,
    "mixer": Mixer,
    "swin": Swin,
    "res2net": Res2Net,
    "ghost": Ghost,
    "conformer": Conformer,
    "crnn": Crnn,
    "volume": Volume,
    "siamese": Siamese,
    "deeplab": Deeplab,
    "selective": SelectiveKernel,
    "linear-attention": LinearAttention,
}
FAMILIES = KNOWN | FURTHER

_SHAPES = {
    "lstm": (1, 6, 12), "bilstm": (1, 6, 12), "gru": (1, 6, 12), "bigru": (1, 6, 12), "linear-attention": (1, 6, 12),
    "conformer": (1, 9, 20), "crnn": (1, 1, 16, 24), "volume": (1, 2, 8, 8, 8),
}  # fmt: skip


def example(name: str) -> tuple[Tensor, ...]:
    """Return example inputs of a family, the same every time."""
    generator = torch.Generator().manual_seed(1)
    if name == "rope":
        return (torch.randint(0, 50, (1, 16), generator=generator),)
    image = torch.randn(_SHAPES.get(name, (1, 3, 32, 32)), generator=generator)
    return (image, torch.randn(image.shape, generator=generator)) if name == "siamese" else (image,)


def build(name: str, width: int = 16) -> nn.Module:
    """Return a family's network in evaluation mode with random parameters and statistics."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    net = FAMILIES[name](width).eval()
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_var is not None:
            module.running_mean.normal_(0, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            module.weight.data.uniform_(0.5, 2, generator=generator)
            module.bias.data.normal_(0, 0.5, generator=generator)
    return net


def export(name: str, width: int = 16, *, dynamo: bool = False, dynamic: bool = False) -> bytes:
    """Return a family's network as an ONNX file.

    Args:
        name: of the family.
        width: 16 is the full width.
        dynamo: by `torch.export`, else by TorchScript.
        dynamic: with a batch of any size.
    """
    import io
    import warnings

    stream, inputs = io.BytesIO(), example(name)
    names = [f"x{i}" for i in range(len(inputs))]
    options: dict[str, object] = {}
    if dynamic and dynamo:
        options["dynamic_shapes"] = tuple({0: torch.export.Dim("batch")} for _ in inputs)
    elif dynamic:
        options["dynamic_axes"] = {each: {0: "batch"} for each in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(
                build(name, width), inputs, dynamo=True, input_names=names, verbose=False, **options
            )
            program.save(stream)
        else:
            opset = 17
            torch.onnx.export(
                build(name, width), inputs, stream, dynamo=False, input_names=names, opset_version=opset, **options
            )
    return stream.getvalue()
