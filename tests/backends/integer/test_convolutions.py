"""Every integer convolution computes its numpy meaning, bit for bit, whatever the shape, on ARM cores and here."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from galen.backends.kernels.base import Image
from galen.backends.kernels.int8_bits import BitConv
from galen.backends.kernels.int8_conv import Int8Conv
from galen.backends.kernels.int8_depthwise import DepthwiseConv
from galen.backends.kernels.int8_dot import DotConv
from galen.backends.kernels.int8_lanes import LaneConv, room
from galen.backends.kernels.int8_long import LongConv
from galen.backends.kernels.int8_matrix import MatrixConv
from galen.backends.kernels.int8_winograd import WinogradConv, fits
from galen.backends.kernels.requantize import Addend, Grid, terms
from galen.backends.kernels.window import Window

A72, N1, V2, HOST = "cortex-a72", "neoverse-n1", "neoverse-v2", "host"


@dataclass(frozen=True)
class Widths:
    weight: int = 8
    pixel: int = 8


def image(h: int, w: int, c: int, border: int = 1) -> Image:
    return Image(1, h, w, c, border, 16, "int8")


def square(ci: int, co: int, side: int, taps: int = 3, stride: int = 1) -> tuple[Image, Image, Window]:
    pad = taps // 2
    out = (side + 2 * pad - taps) // stride + 1
    return image(side, side, ci, pad), image(out, out, co), Window(taps, taps, stride, stride, 1, 1, pad, pad)


def operands(kernel: Int8Conv, rng: np.random.Generator, widths: Widths = Widths()) -> list[np.ndarray]:
    """Random numbers over the whole of their ranges, with the extremes in long runs, and scales that fill int8."""
    top = max(1, 2 ** (widths.weight - 1) - 1)
    weights = rng.integers(-top, top + 1, kernel.weight_shape)
    weights[rng.random(weights.shape[0]) < 0.3] = top
    if widths.weight == 1:
        weights = np.where(weights < 0, -1, 1)
    low = -(2 ** (widths.pixel - 1))
    pixels = rng.integers(low, -low, kernel.source.spec.shape)
    pixels[:, : pixels.shape[1] // 3] = low
    spread = np.sqrt(np.prod(kernel.weight_shape[1:])) * top * -low / 2
    bias = rng.integers(-5000, 5000, kernel.sink.c)
    scale = rng.uniform(0.2, 2, kernel.sink.c) * 40 / spread
    arrays = [
        pixels.astype(np.int8),
        kernel.pack_weights(weights.astype(np.int8)),
        kernel.pack_channels(bias.astype(np.int32)),
        kernel.pack_channels(scale.astype(np.float32)),
        np.array([5, -120, 121], np.int32),
    ]
    if kernel.addend:
        zero = 3
        other = rng.integers(-128, 128, (1, kernel.sink.h, kernel.sink.w, kernel.sink.c))
        grids = Grid(np.float32(0.031), zero + 128, 128), Grid(np.float32(0.05), 5 + 128, 128)
        sums = terms(*(grids if kernel.addend.first else grids[::-1]), Grid(np.float32(0.047), 90, 128))
        limits = np.array([90 - 128, -128, 127], np.int32)
        arrays += [kernel.addend.image.place(other, zero), sums, limits]
    return arrays


KERNELS = {
    "dot": (DotConv(*square(48, 20, 7)), N1, Widths()),
    "dot strided": (DotConv(*square(16, 32, 9, 5, 2)), N1, Widths()),
    "dot of three channels": (
        DotConv(Image(1, 8, 8, 3, 2, 4, "int8"), image(8, 8, 16), Window(3, 3, 1, 1, 1, 1, 1, 1)),
        N1,
        Widths(),
    ),
    "dot of rows": (DotConv(image(1, 6, 70, 0), image(1, 6, 10, 0), Window(1, 1)), N1, Widths()),
    "dot and sum": (DotConv(*square(16, 16, 6), Addend(image(6, 6, 16))), N1, Widths()),
    "matrix": (MatrixConv(*square(48, 20, 7)), V2, Widths()),
    "matrix strided": (MatrixConv(*square(16, 32, 9, 5, 2)), V2, Widths()),
    "matrix of three channels": (
        MatrixConv(Image(1, 8, 8, 3, 2, 4, "int8"), image(8, 8, 16), Window(3, 3, 1, 1, 1, 1, 1, 1)),
        V2,
        Widths(),
    ),
    "matrix of rows": (MatrixConv(image(1, 13, 70, 0), image(1, 13, 10, 0), Window(1, 1)), V2, Widths()),
    "matrix and sum": (MatrixConv(*square(16, 16, 10), Addend(image(10, 10, 16))), V2, Widths()),
    "long": (LongConv(*square(48, 20, 7)), A72, Widths()),
    "long dilated": (
        LongConv(image(9, 9, 16, 2), image(9, 9, 16), Window(3, 3, 1, 1, 2, 2, 2, 2)),
        A72,
        Widths(),
    ),
    "sum and long": (LongConv(*square(16, 16, 6), Addend(image(6, 6, 16, 0), first=True)), A72, Widths()),
    "winograd": (WinogradConv(*square(48, 20, 12)), A72, Widths()),
    "winograd of few channels and overlapping tiles": (WinogradConv(*square(5, 7, 7)), A72, Widths()),
    "winograd of a few more": (WinogradConv(*square(35, 18, 6)), A72, Widths()),
    "winograd and sum": (WinogradConv(*square(16, 16, 8), Addend(image(8, 8, 16))), A72, Widths()),
    "winograd and sum of overlapping tiles": (
        WinogradConv(*square(12, 12, 15), Addend(image(15, 15, 12), first=True)),
        A72,
        Widths(),
    ),
    "dot of groups of four": (DotConv(*square(64, 64, 6), groups=16), N1, Widths()),
    "dot of a group too few": (DotConv(*square(40, 40, 5), groups=5), N1, Widths()),
    "dot of groups that widen": (DotConv(*square(24, 48, 5), groups=6), N1, Widths()),
    "dot of groups that do not fit": (DotConv(*square(72, 72, 4), groups=3), N1, Widths()),
    "matrix of groups of 24": (MatrixConv(*square(96, 96, 7), groups=4), V2, Widths()),
    "long of groups of 16": (LongConv(*square(48, 48, 5, 3, 2), groups=3), A72, Widths()),
    "lanes of groups": (LaneConv(*square(32, 32, 5), None, 16, 4, 4, groups=4), A72, Widths(4, 4)),
    "depthwise": (DepthwiseConv(*square(40, 40, 7)), A72, Widths()),
    "depthwise 5x5 strided": (DepthwiseConv(*square(24, 24, 9, 5, 2)), N1, Widths()),
    **{
        f"lanes of {lane} for {w}x{x} bits": (LaneConv(*square(80, 20, 5), None, lane, w, x), A72, Widths(w, x))
        for lane, w, x in ((16, 4, 4), (16, 7, 7), (16, 8, 4), (16, 3, 6), (8, 2, 2), (8, 3, 3), (8, 1, 4), (8, 2, 5))
    },
    **{
        f"planes of {w}x{x} bits": (BitConv(*square(c, 20, 6), None, 8, w, x), A72, Widths(w, x))
        for c, w, x in ((128, 1, 1), (40, 2, 2), (10, 1, 3), (16, 3, 1), (70, 2, 1), (1100, 1, 1))
    },
}


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_is_exact_on_its_core_and_here(exact, name):
    kernel, core, widths = KERNELS[name]
    arrays = operands(kernel, np.random.default_rng(0), widths)
    if kernel.addend:
        arrays[0] = kernel.source.place(kernel.source.interior(arrays[0]), 5)
    for target in (core, HOST)[: 1 if isinstance(kernel, MatrixConv) else 2]:  # no host has it
        exact(kernel, arrays, target)


@given(
    groups=st.integers(1, 9),
    ci=st.integers(1, 20),
    co=st.integers(1, 20),
    side=st.integers(1, 6),
    seed=st.integers(0, 99),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_groups(exact, groups, ci, co, side, seed):
    rng = np.random.default_rng(seed)
    shape = square(groups * ci, groups * co, side)
    for kernel_type, target in ((DotConv, N1), (MatrixConv, V2), (LongConv, A72), (DotConv, HOST)):
        kernel = kernel_type(*shape, groups=groups)
        exact(kernel, operands(kernel, rng), target)


@given(
    ci=st.integers(1, 40),
    co=st.integers(1, 36),
    side=st.integers(1, 9),
    taps=st.sampled_from([1, 3, 5]),
    stride=st.integers(1, 2),
    seed=st.integers(0, 99),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape(exact, ci, co, side, taps, stride, seed):
    rng = np.random.default_rng(seed)
    shape = square(ci, co, side, taps, stride)
    kernels = (DotConv(*shape), N1), (MatrixConv(*shape), V2), (LongConv(*shape), A72), (DotConv(*shape), HOST)
    for kernel, target in kernels:
        exact(kernel, operands(kernel, rng), target)


@pytest.mark.parametrize("name", KERNELS)
def test_weights_unpack_to_what_was_packed(name):
    kernel, _, widths = KERNELS[name]
    top = max(1, 2 ** (widths.weight - 1) - 1)
    weights = np.random.default_rng(1).integers(-top, top + 1, kernel.weight_shape).astype(np.int8)
    if widths.weight == 1:
        weights = np.where(weights < 0, -1, 1).astype(np.int8)
    np.testing.assert_array_equal(kernel.unpack_weights(kernel.pack_weights(weights)), weights)


@given(ci=st.integers(1, 40), co=st.integers(1, 40), side=st.integers(4, 15), seed=st.integers(0, 99))
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_shape_by_winograd(exact, ci, co, side, seed):
    kernel = WinogradConv(*square(ci, co, side))
    exact(kernel, operands(kernel, np.random.default_rng(seed)), A72)


def test_winograd_is_exact_up_to_its_bound_and_the_bound_is_checked(exact):
    """Weights and pixels at their extremes: sums that would not fit if 576 times them had to."""
    kernel = WinogradConv(*square(224, 16, 4))
    weights = np.full(kernel.weight_shape, 127, np.int8)
    assert fits(weights)
    assert not fits(np.full((16, 256, 3, 3), 127, np.int8))
    arrays = operands(kernel, np.random.default_rng(0))
    arrays[0][...] = -128
    arrays[1] = kernel.pack_weights(weights)
    arrays[3] = kernel.pack_channels(np.full(16, 1 / 400000, np.float32))
    exact(kernel, arrays, A72)


@pytest.mark.parametrize(("lane", "w", "x", "products"), [(16, 4, 4, 585), (8, 2, 2, 63), (16, 8, 8, 2), (8, 3, 3, 10)])
def test_a_lane_holds_as_many_products_as_the_notes_say(lane, w, x, products):
    assert room(lane, w, x) == products


LIMITS = {
    "int8, no dot product": (WinogradConv(*square(128, 128, 16)), A72, 0.23),
    "int8 directly": (LongConv(*square(128, 128, 16)), A72, 0.23),
    "4x4 bits": (LaneConv(*square(128, 128, 16), None, 16, 4, 4), A72, 0.16),
    "1x1 bits": (BitConv(*square(128, 128, 16), None, 8, 1, 1), A72, 0.06),
    "int8, dot product": (DotConv(*square(128, 128, 16)), N1, 0.085),
    "int8, matrix multiply": (MatrixConv(*square(128, 128, 16)), V2, 0.0625),
}


@pytest.mark.parametrize("name", LIMITS)
def test_instructions_per_multiply_accumulate_stay_below_their_bar(exact, name):
    kernel, core, bar = LIMITS[name]
    widths = Widths(kernel.weight_bits, kernel.source_bits) if isinstance(kernel, LaneConv) else Widths()
    instructions = exact(kernel, operands(kernel, np.random.default_rng(0), widths), core)
    assert instructions / kernel.macs <= bar
