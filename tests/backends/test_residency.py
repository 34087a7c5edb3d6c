"""What the last-level cache holds of a network that runs again and again."""

import numpy as np
import pytest

from galen.backends.kernels.base import Image
from galen.backends.kernels.conv import DirectConv
from galen.backends.kernels.window import Window
from galen.backends.program import Call, Program
from galen.backends.residency import residency
from galen.backends.targets import find

CONV = DirectConv(Image(1, 16, 16, 64, 1), Image(1, 16, 16, 64, 1), Window(3, 3, top=1, left=1))
IMAGE, WEIGHTS = CONV.args[0].nbytes, CONV.args[1].nbytes
LAYERS = 4


def chain() -> Program:
    """Return convolutions in a row, each with weights of its own."""
    source, weights, bias, sink = CONV.args
    buffers, constants, calls = [source], {}, []
    for layer in range(LAYERS):
        first = len(buffers)
        buffers += [weights, bias, sink]
        constants |= {first: np.zeros(weights.shape, np.float32), first + 1: np.zeros(bias.shape, np.float32)}
        calls.append(Call(CONV, (3 * layer, first, first + 1, first + 2), f"conv{layer}", "Conv"))
    outputs = {"y": len(buffers) - 1}
    return Program(find("cortex-a72"), tuple(buffers), constants, {"x": 0}, outputs, tuple(calls))


def test_a_network_that_fits_stays() -> None:
    everything = (LAYERS + 1) * IMAGE + LAYERS * (WEIGHTS + 4096)
    for held in residency(chain(), 2 * everything):
        assert held.resident >= 2 * IMAGE + WEIGHTS
        assert held.evicted == 0


def test_of_a_network_that_does_not_fit_only_the_last_image_stays() -> None:
    for held in residency(chain(), WEIGHTS + IMAGE)[1:]:
        assert held.resident == pytest.approx(IMAGE, abs=3 * 4096)


def test_what_is_written_and_pushed_out_returns_to_memory() -> None:
    assert sum(held.evicted for held in residency(chain(), IMAGE // 2)) >= LAYERS * IMAGE / 2


def test_the_more_cache_the_more_stays() -> None:
    resident = [sum(held.resident for held in residency(chain(), size << 10)) for size in (32, 128, 512, 2048)]
    assert resident == sorted(resident)
