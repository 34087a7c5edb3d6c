"""A program of one convolution whose weights are all one."""

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.conv import DirectConv
from galen.backends.kernels.window import Window
from galen.backends.program import Call, Program
from galen.backends.targets import find

CONV = DirectConv(Image(1, 8, 8, 8, 1), Image(1, 8, 8, 8, 1), Window(3, 3, top=1, left=1))


def program(target: str) -> Program:
    weights, bias = (np.ones(spec.shape, np.float32) for spec in CONV.args[1:3])
    calls = (Call(CONV, (0, 1, 2, 3), "conv", "Conv"),)
    return Program(find(target), CONV.args, {1: weights, 2: bias}, {"x": 0}, {"y": 3}, calls)


def example() -> tuple[np.ndarray, np.ndarray]:
    """Return an input, and what the convolution makes of it."""
    x = CONV.source.place(np.random.default_rng(0).standard_normal((1, 8, 8, 8)).astype(np.float32))
    ones = [np.ones(spec.shape, np.float32) for spec in CONV.args[1:3]]
    return x, CONV.reference(x, *ones)[0]
