"""Rounding at its edges: ties, near ties and saturation, for every epilogue; other roundings would be noticed."""

import numpy as np
import pytest

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.int8_dot import DotConv
from galen.backends.kernels.int8_elementwise import Int8Add, Int8Mul
from galen.backends.kernels.int8_layout import Dequantize, Quantize
from galen.backends.kernels.int8_long import LongConv
from galen.backends.kernels.int8_pool import Int8AveragePool, Int8GlobalAverage, Int8MaxPool
from galen.backends.kernels.int8_table import Int8Table
from galen.backends.kernels.requantize import Grid, scales, terms
from galen.backends.kernels.window import Window

F32 = np.float32
TARGETS = ("cortex-a72", "host")
ROWS = Image(1, 1, 64, 16, 0, 16, "int8")
SMALL = Image(1, 8, 8, 16, 1, 16, "int8")
LIMITS = np.array([-7, -128, 125], np.int32)


def near_ties(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Accumulators and scales whose products are ties, ties but for the last bits, or beyond int8."""
    acc = rng.integers(-(2**20), 2**20, (1, 1, 64, 16)).astype(np.int32)
    acc[..., :4] = 2 * rng.integers(-200, 200, (1, 1, 64, 4)) + 1
    halves = np.where(np.arange(16) < 4, 0.5, 0.0)
    x_scale, y_scale = F32(0.0123), F32(0.0457)
    wanted = (rng.integers(-99, 99, (1, 1, 1, 16)) + 0.5) / np.where(acc[:, :, :1] == 0, 1, acc[:, :, :1])
    w_scale = np.abs(wanted[0, 0, 0] * y_scale / x_scale).astype(F32)
    scale = np.where(halves > 0, F32(0.5), scales(x_scale, w_scale, y_scale)).astype(F32)
    return acc, scale


def bias_only(kernel_type, acc: np.ndarray, scale: np.ndarray) -> tuple:
    """A convolution whose accumulators are `acc`: a bias, since one row of pixels meets weights of zero."""
    row = Image(1, 1, 1, 16, 0, 16, "int8")
    kernel = kernel_type(row, row, Window(1, 1))
    weights = kernel.pack_weights(np.zeros(kernel.weight_shape, np.int8))
    return kernel, [np.zeros(row.spec.shape, np.int8), weights, acc, scale, LIMITS]


@pytest.mark.parametrize("kernel_type", [DotConv, LongConv])
def test_requantization_of_ties_and_beyond(exact, kernel_type):
    target = {DotConv: "neoverse-n1", LongConv: "cortex-a72"}[kernel_type]
    acc, scale = near_ties(np.random.default_rng(0))
    for row in acc[0, 0, :16]:
        for name in (target, "host"):
            exact(*bias_only(kernel_type, row, scale), name)


def test_the_accumulators_tell_roundings_apart():
    """Half away from zero, and a scale that is rounded only once, give other integers here."""
    rng = np.random.default_rng(0)
    acc, scale = near_ties(rng)
    product = acc.astype(F32) * scale
    right = np.rint(product)
    assert np.sum(np.floor(np.abs(product) + 0.5) * np.sign(product) != right) > 100
    x, w, y = (rng.uniform(0.01, 0.1, 20000).astype(F32) for _ in range(3))
    once = (x.astype(np.float64) * w / y).astype(F32)
    twice = scales(np.asarray(x), w, np.asarray(y))
    ties = np.rint((rng.integers(-99, 99, 20000) + 0.5) / once).astype(np.int32)
    assert np.sum(once != twice) > 1000
    assert np.sum(np.rint(ties.astype(F32) * once) != np.rint(ties.astype(F32) * twice)) > 0


def pixels(rng: np.random.Generator, image: Image) -> np.ndarray:
    return image.place(rng.integers(-128, 128, (image.n, image.h, image.w, image.c)), -7)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("scale", [0.5, 0.25, 0.0371, 1.0, 3.7])
def test_elementwise(exact, target, scale):
    rng = np.random.default_rng(1)
    a, b, y = Grid(F32(0.5), 121, 128), Grid(F32(scale), -7), Grid(F32(1.0), 121, 128)
    arrays = [pixels(rng, SMALL), pixels(rng, SMALL)]
    exact(Int8Add(SMALL, SMALL, SMALL), [*arrays, terms(a, b, y), LIMITS], target)
    one = Image(1, 1, 1, 16, 0, 16, "int8")
    zeros = np.array([-7, 3, 121, 0], np.int32)
    product = [arrays[0], pixels(rng, one), zeros, np.array([scale / 64], F32), LIMITS]
    exact(Int8Mul(SMALL, one, SMALL), product, target)
    table = rng.integers(-128, 128, 256).astype(np.int8)
    exact(Int8Table(SMALL, Image(1, 8, 8, 16, 0, 16, "int8")), [arrays[0], table, LIMITS], target)


def test_products_that_are_rounded_once_instead_of_twice_are_told_apart():
    """`fma` would be another number: the kernel must not let the compiler use it."""
    product = np.arange(-65025, 65026, dtype=np.int32)
    differences = 0
    for scale in np.random.default_rng(0).uniform(0.001, 0.01, 50).astype(F32):
        twice = np.rint(product.astype(F32) * scale + F32(121))
        once = np.rint((product.astype(np.float64) * np.float64(scale) + 121).astype(F32))
        differences += np.sum(twice != once)
    assert differences > 0


@pytest.mark.parametrize("target", TARGETS)
def test_pooling(exact, target):
    rng = np.random.default_rng(2)
    image = pixels(rng, SMALL)
    one, quarter = Image(1, 1, 1, 16, 0, 16, "int8"), Image(1, 4, 4, 16, 1, 16, "int8")
    average = [image, np.array([64 * -7], np.int32), np.array([1 / 64], F32), LIMITS]
    exact(Int8GlobalAverage(SMALL, one), average, target)
    window = Window(2, 2, 2, 2)
    scale = np.array([0.0371, 0.0371, 121, 0], F32)
    arrays = [image, np.array([-7], np.int32), scale, np.full((4, 4), 4, F32), LIMITS]
    exact(Int8AveragePool(SMALL, quarter, window), arrays, target)
    exact(Int8MaxPool(SMALL, quarter, Window(3, 3, 2, 2, 1, 1, 1, 1)), [image, LIMITS], target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
@pytest.mark.parametrize("shape", [(1, 5, 8, 8), (2, 3, 20)])
def test_edges(exact, target, dtype, shape):
    rng = np.random.default_rng(3)
    image = Image(1, 8, 8, 5, 1, 16, "int8") if len(shape) == 4 else Image(1, 1, 6, 20, 0, 16, "int8")
    spec = Spec(shape, dtype)
    ties = rng.integers(-300, 300, shape) * F32(0.25)
    source = ties.astype(F32) if dtype == "float32" else rng.integers(0, 127, shape).astype(dtype)
    limits = LIMITS if dtype == "float32" else np.array([-7, {"uint8": -128, "int8": 0}[dtype], 0], np.int32)
    exact(Quantize(spec, image), [source, np.array([0.5], F32), limits], target)
    exact(Dequantize(image, spec), [pixels(rng, image), np.array([0.37], F32), limits], target)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("scale", [0.1, 0.0371, 1e-3, 3.0, 1 / 3, 2**-126, 1e30])
def test_quotients_are_rounded_as_division_rounds_them(exact, target, scale):
    """Numbers next to those whose quotient lies between two integers, and some that are far away."""
    divisor = F32(scale)
    near = (np.arange(-140, 140, dtype=np.float32)[:, None] + F32(0.5)) * divisor
    steps = np.nextafter(near, np.repeat([[-np.inf, near[0, 0], np.inf]], len(near), 0).astype(F32))
    far = np.array([np.inf, -np.inf, 3e38, -3e38, 0.0, -0.0, 1e-45, 1e-38], F32)
    source = np.resize(np.concatenate([near.ravel(), steps.ravel(), far]), (64, 19)).astype(F32)
    image = Image(1, 1, 64, 19, 0, 16, "int8")
    exact(Quantize(Spec(source.shape, "float32"), image), [source, np.array([divisor], F32), LIMITS], target)
