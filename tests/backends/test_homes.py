"""What is joined along channels is written side by side: no copies, and the same outputs as onnxruntime's."""

import numpy as np
import pytest
import torch
from torch import nn

from galen import trace
from galen.backends.execution import run_on_core
from galen.backends.lower import lower
from galen.backends.program import Program
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.execute import random_inputs, run


def conv(ci: int, co: int, size: int = 3) -> nn.Module:
    return nn.Sequential(nn.Conv2d(ci, co, size, padding=size // 2), nn.ReLU())


class Fire(nn.Module):
    """SqueezeNet (Iandola et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.one, self.three, self.end = conv(4, 8, 1), conv(8, 12, 1), conv(8, 8), conv(20, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x)
        return self.end(torch.cat([self.one(x), self.three(x)], 1))


class Dense(nn.Module):
    """Every layer reads all before it (Huang et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv(3, 8)
        self.layers = nn.ModuleList(nn.Sequential(conv(8 + 4 * i, 8, 1), conv(8, 4)) for i in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.first(x)]
        for layer in self.layers:
            parts.append(layer(torch.cat(parts, 1)))
        return torch.cat(parts, 1)


class Chain(nn.Module):
    """The same, but each concatenation reads the one before; two parts of a split; a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third, self.end = conv(3, 8), conv(4, 4, 1), conv(12, 8, 1), conv(20, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        left, right = x.chunk(2, 1)
        joined = torch.cat([x, self.second(right) + left], 1)
        return self.end(torch.cat([joined, self.third(joined)], 1))


@pytest.mark.parametrize("module", [Fire, Dense, Chain])
def test_nothing_is_joined_by_copies(module: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = trace(module().eval(), (torch.randn(1, module().get_submodule(first(module))[0].in_channels, 9, 7),))
    assert not {"concat", "move"} & set(families(checked(model)))


class Joined(nn.Module):
    """Two convolutions side by side, and a third of both."""

    def __init__(self, channels: tuple[int, int], size: int) -> None:
        super().__init__()
        self.one, self.two, self.end = conv(3, channels[0]), conv(3, channels[1]), conv(sum(channels), 4, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(torch.cat([self.one(x), self.two(x)], 1))


@pytest.mark.parametrize(("channels", "size"), [((5, 6), 1), ((8, 4), 3)])
def test_what_is_no_whole_vectors_or_wants_a_border_is_copied(channels: tuple[int, int], size: int) -> None:
    torch.manual_seed(0)
    assert "concat" in families(checked(trace(Joined(channels, size).eval(), (torch.randn(1, 3, 9, 7),))))


def first(module: type[nn.Module]) -> str:
    return "squeeze" if module is Fire else "first"


def checked(model: Model) -> Program:
    """Return the program of the model, whose outputs on the emulated core are right."""
    program, inputs = lower(model, find("cortex-a72")), random_inputs(model, np.random.default_rng(0))
    found = run_on_core(program, inputs)
    for name, right in run(model, inputs).items():
        np.testing.assert_allclose(found[name], right, rtol=1e-3, atol=1e-4)
    return program


def families(program: Program) -> list[str]:
    return [call.kernel.family for call in program.calls]
