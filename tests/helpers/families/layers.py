"""Steps that several families share."""

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


class Se(nn.Module):
    def __init__(self, c: int, m: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(c, m, 1), nn.Conv2d(m, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.b(F.relu(self.a(x.mean((2, 3), keepdim=True)))))


def shuffle(x: Tensor, groups: int) -> Tensor:
    b, c, h, w = x.shape
    return x.view(b, groups, c // groups, h, w).transpose(1, 2).reshape(b, c, h, w)
