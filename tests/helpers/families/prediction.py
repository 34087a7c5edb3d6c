"""Detectors, and networks that answer with images or volumes."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from families.layers import conv


class HrNet(nn.Module):
    """Two resolutions side by side that exchange sums."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.a, self.b = conv(3, w, 3, 2), conv(w, w), conv(w, 2 * w, 3, 2)
        self.aa, self.bb = conv(w, w), conv(2 * w, 2 * w)
        self.ab, self.ba = conv(w, 2 * w, 3, 2, act=nn.Identity()), conv(2 * w, w, 1, act=nn.Identity())
        self.head = nn.Conv2d(3 * w, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        a, b = self.a(x), self.b(x)
        a, b = self.aa(a), self.bb(b)
        a, b = (
            F.relu(a + F.interpolate(self.ba(b), scale_factor=2, mode="bilinear")),
            F.relu(b + self.ab(a)),
        )
        up = F.interpolate(b, size=a.shape[2:], mode="bilinear", align_corners=True)
        return self.head(torch.cat([a, up], 1))


class BiFpn(nn.Module):
    """Weighted sums up and down a pyramid, depthwise separable convolutions, heads shared by the levels."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.c = nn.ModuleList([conv(3, w, 3, 2), conv(w, 2 * w, 3, 2), conv(2 * w, 4 * w, 3, 2)])
        self.lateral = nn.ModuleList(nn.Conv2d(i, 2 * w, 1) for i in (w, 2 * w, 4 * w))
        self.up = nn.ModuleList(nn.Sequential(conv(2 * w, 2 * w, 3, 1, 2 * w), conv(2 * w, 2 * w, 1)) for _ in range(2))
        self.down = nn.ModuleList(conv(2 * w, 2 * w) for _ in range(2))
        self.weights = nn.Parameter(torch.rand(4, 2))
        self.shared, self.boxes, self.classes = conv(2 * w, 2 * w), nn.Conv2d(2 * w, 4, 1), nn.Conv2d(2 * w, 6, 1)

    def mix(self, number: int, a: Tensor, b: Tensor) -> Tensor:
        weights = F.relu(self.weights[number])
        weights = weights / (weights.sum() + 1e-4)
        return F.silu(weights[0] * a + weights[1] * b)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        levels = []
        for stage in self.c:
            x = stage(x)
            levels.append(x)
        a, b, c = (f(level) for f, level in zip(self.lateral, levels, strict=True))
        b = self.up[0](self.mix(0, b, F.interpolate(c, scale_factor=2.0)))
        a = self.up[1](self.mix(1, a, F.interpolate(b, scale_factor=2.0)))
        b = self.down[0](self.mix(2, b, F.max_pool2d(a, 2)))
        c = self.down[1](self.mix(3, c, F.max_pool2d(b, 2)))
        out = []
        for level in (a, b, c):
            y = self.shared(level)
            out += [
                self.boxes(y).permute(0, 2, 3, 1).reshape(1, -1, 4),
                self.classes(y).permute(0, 2, 3, 1).reshape(1, -1, 6),
            ]
        return torch.cat(out[::2], 1), torch.cat(out[1::2], 1).sigmoid()


class YoloDetect(nn.Module):
    """YOLOv5-like head: anchors, grids, boxes decoded in the graph; scales that share nothing."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.p3, self.p4 = (
            nn.Sequential(conv(3, w, 3, 2, act=nn.SiLU()), conv(w, 2 * w, 3, 2, act=nn.SiLU())),
            conv(2 * w, 4 * w, 3, 2, act=nn.SiLU()),
        )
        self.heads = nn.ModuleList([nn.Conv2d(2 * w, 3 * 7, 1), nn.Conv2d(4 * w, 3 * 7, 1)])
        self.register_buffer("anchors", torch.rand(2, 1, 3, 1, 1, 2) * 10)

    def forward(self, x: Tensor) -> Tensor:
        p3 = self.p3(x)
        found = []
        for i, level in enumerate((p3, self.p4(p3))):
            y = self.heads[i](level)
            b, _, h, w = y.shape
            y = y.view(b, 3, 7, h, w).permute(0, 1, 3, 4, 2).sigmoid()
            gy, gx = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            grid = torch.stack((gx, gy), 2).float()[None, None]
            xy = (y[..., 0:2] * 2 - 0.5 + grid) * 4
            wh = (y[..., 2:4] * 2) ** 2 * self.anchors[i]
            found.append(torch.cat((xy, wh, y[..., 4:]), 4).view(b, -1, 7))
        return torch.cat(found, 1)


class YoloDfl(nn.Module):
    """YOLOv8/v10-like decoupled head: distribution focal loss decoded by softmax and a fixed convolution."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, w, 3, 2, act=nn.SiLU()), conv(w, 2 * w, 3, 2, act=nn.SiLU()))
        self.box = nn.Sequential(
            conv(2 * w, 2 * w, act=nn.SiLU()), conv(2 * w, 2 * w, act=nn.SiLU()), nn.Conv2d(2 * w, 64, 1)
        )
        self.cls = nn.Sequential(
            conv(2 * w, 2 * w, 3, 1, 2 * w, act=nn.SiLU()), conv(2 * w, 2 * w, 1, act=nn.SiLU()), nn.Conv2d(2 * w, 6, 1)
        )
        self.dfl = nn.Conv2d(16, 1, 1, bias=False)
        self.dfl.weight.data[:] = torch.arange(16.0).view(1, 16, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        y = torch.cat((self.box(x), self.cls(x)), 1).flatten(2)
        box, cls = y.split((64, 6), 1)
        b, _, a = box.shape
        box = self.dfl(box.view(b, 4, 16, a).transpose(2, 1).softmax(1)).view(b, 4, a)
        lt, rb = box.chunk(2, 1)
        return torch.cat(((rb - lt) / 2, lt + rb, cls.sigmoid()), 1)


class Psa(nn.Module):
    """YOLOv10's partial self-attention and large-kernel depthwise positions."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.w, self.heads = w, 2
        self.stem, self.a, self.b = conv(3, 2 * w, 3, 4), conv(2 * w, 2 * w, 1), conv(2 * w, 2 * w, 1)
        self.hd = w // 2
        self.kd = w // 4
        self.qkv = conv(w, w + 2 * 2 * self.kd, 1, act=nn.Identity())
        self.pe, self.proj = conv(w, w, 3, 1, w, act=nn.Identity()), conv(w, w, 1, act=nn.Identity())
        self.ffn = nn.Sequential(conv(w, 2 * w, 1, act=nn.SiLU()), conv(2 * w, w, 1, act=nn.Identity()))
        self.head = nn.Linear(2 * w, 10)

    def attend(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        q, k, v = self.qkv(x).view(b, 2, 2 * self.kd + self.hd, h * w).split([self.kd, self.kd, self.hd], dim=2)
        a = ((q.transpose(-2, -1) @ k) * self.kd**-0.5).softmax(-1)
        y = (v @ a.transpose(-2, -1)).view(b, c, h, w) + self.pe(v.reshape(b, c, h, w))
        return self.proj(y)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(self.stem(x)).split((self.w, self.w), 1)
        b = b + self.attend(b)
        b = b + self.ffn(b)
        return self.head(self.b(torch.cat((a, b), 1)).mean((2, 3)))


class PixelSr(nn.Module):
    """Residual super-resolution with two pixel shuffles and a long skip that is resized."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.body = (
            nn.Conv2d(3, 2 * w, 9, padding=4),
            nn.ModuleList(
                nn.Sequential(conv(2 * w, 2 * w, act=nn.PReLU()), conv(2 * w, 2 * w, act=nn.Identity()))
                for _ in range(2)
            ),
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * w, 8 * w, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(2 * w)) for _ in range(2)
        )
        self.out = nn.Conv2d(2 * w, 3, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        y = skip = self.stem(x)
        for block in self.body:
            y = y + 0.1 * block(y)
        y = y + skip
        for up in self.up:
            y = up(y)
        return torch.tanh(self.out(y)) + F.interpolate(x, scale_factor=4, mode="bicubic")


class Unshuffle(nn.Module):
    """Space to depth, then back."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = conv(3, w), conv(4 * w, 4 * w), conv(4 * w, 4 * w), nn.Conv2d(w, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.c(self.b(F.pixel_unshuffle(self.a(x), 2)))
        return self.d(F.pixel_shuffle(y, 2))


class Generator(nn.Module):
    """A latent vector through transposed convolutions; a condition is embedded and concatenated."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.w = w
        self.embed, self.inp = nn.Embedding(7, w), nn.Linear(16 + w, 16 * 4 * w)
        self.n0 = nn.BatchNorm2d(4 * w)
        self.a, self.n1 = nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * w)
        self.b, self.n2 = nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False), nn.InstanceNorm2d(w, affine=True)
        self.c = nn.ConvTranspose2d(w, 3, 4, 2, 1)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        x = self.inp(torch.cat([z, self.embed(label)], 1)).view(-1, 4 * self.w, 4, 4)
        x = F.relu(self.n1(self.a(F.relu(self.n0(x)))))
        return torch.tanh(self.c(F.leaky_relu(self.n2(self.b(x)), 0.2)))


class StyleBlock(nn.Module):
    """Adaptive instance normalisation: scales and shifts of features are computed from a style vector."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.style, self.stem = (
            nn.Sequential(nn.Linear(16, 2 * w), nn.ReLU(), nn.Linear(2 * w, 8 * w)),
            nn.Conv2d(3, 4 * w, 3, padding=1),
        )
        self.norm, self.out = nn.InstanceNorm2d(4 * w), nn.Conv2d(4 * w, 3, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        scale, shift = self.style(z).chunk(2, 1)
        y = self.norm(self.stem(x))
        return self.out(F.relu(y * (1 + scale[:, :, None, None]) + shift[:, :, None, None]))


class UNet3d(nn.Module):
    """Volumes, group normalisation, trilinear upsampling, attention gates on the skips."""

    def __init__(self, w: int) -> None:
        super().__init__()

        def step(i: int, o: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv3d(i, o, 3, padding=1, bias=False), nn.GroupNorm(4, o), nn.ReLU())

        self.a, self.b, self.c = step(1, w), step(w, 2 * w), step(2 * w, 2 * w)
        self.gx, self.gg, self.psi = nn.Conv3d(w, w, 1), nn.Conv3d(2 * w, w, 1), nn.Conv3d(w, 1, 1)
        self.out = nn.Conv3d(w, 3, 1)
        self.d = step(3 * w, w)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.c(self.b(F.max_pool3d(a, 2)))
        up = F.interpolate(b, scale_factor=2.0, mode="trilinear")
        gate = self.psi(F.relu(self.gx(a) + self.gg(up))).sigmoid()
        return self.out(self.d(torch.cat([a * gate, up], 1))).softmax(1)


class MultiTask(nn.Module):
    """A shared trunk, heads of different kinds, one of which reads another's answer; a fixed embedding normalised."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(conv(3, w, 3, 2), conv(w, 2 * w, 3, 2))
        self.a, self.b, self.c = nn.Linear(2 * w, 2 * w), nn.Linear(2 * w, 4), nn.Linear(2 * w + 4, 3)
        self.mask = nn.Sequential(conv(2 * w, w), nn.Conv2d(w, 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y = self.trunk(x)
        pooled = F.dropout(y.amax((2, 3)), 0.5, self.training)
        code = F.normalize(self.a(pooled), dim=1)
        first = self.b(F.relu(code))
        second = self.c(torch.cat([code, first], 1))
        return first.softmax(-1), second, self.mask(y)


FAMILIES = {
    "hrnet": HrNet,
    "bifpn": BiFpn,
    "yolo-anchors": YoloDetect,
    "yolo-dfl": YoloDfl,
    "yolo-psa": Psa,
    "pixel-sr": PixelSr,
    "unshuffle": Unshuffle,
    "generator": Generator,
    "style": StyleBlock,
    "unet3d": UNet3d,
    "multitask": MultiTask,
}
