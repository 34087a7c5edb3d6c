"""Networks of depthwise convolutions and shuffled channels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from families.layers import Se, conv, shuffle


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


class Ghost(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem, self.a, self.cheap = conv(3, w), conv(w, w, 1), conv(w, w, 3, g=w)
        self.b, self.head = conv(2 * w, 2 * w, 1), nn.Linear(2 * w, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(self.stem(x))
        return self.head(self.b(torch.cat([x, self.cheap(x)], 1)).mean((2, 3)))
