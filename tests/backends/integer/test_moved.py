"""Integers that are joined, split, resized or moved stay integers, and equal the numpy meaning to the bit."""

import numpy as np
import pytest
from onnx_text import model

from galen.backends import integer
from galen.backends.execution import run_on_core
from galen.backends.kernels.base import Image
from galen.backends.kernels.int8_concat import Int8Concat
from galen.backends.lower import lower
from galen.backends.lower.spare_pairs import drop_spare_pairs
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.clone import clone
from galen.ir.execute import random_inputs
from galen.passes.quantize import Quantize

NETWORKS = {
    "joined, of different scales": """(float[1,3,6,7] x) => (float[1,8,6,7] y)
        <float[9,3,1,1] a, float[20,3,3,3] b, float[8,29,1,1] c> {
        left = Conv(x, a)
        right = Conv<pads=[1,1,1,1]>(x, b)
        both = Concat<axis=1>(left, right)
        y = Conv(both, c) }""",
    "joined with themselves and cut off below zero": """(float[1,16,4,4] x) => (float[1,5,4,4] y)
        <float[16,16,1,1] a, float[5,48,3,3] c> {
        one = Conv(x, a)
        all = Concat<axis=1>(one, x, one)
        some = Relu(all)
        y = Conv<pads=[1,1,1,1]>(some, c) }""",
    "split": """(float[1,3,6,7] x) => (float[1,4,6,7] y)
        <float[40,3,1,1] a, int64[2] parts = {24, 16}, float[4,24,3,3] b, float[4,16,1,1] c> {
        whole = Conv(x, a)
        left, right = Split<axis=1>(whole, parts)
        first = Conv<pads=[1,1,1,1]>(left, b)
        second = Conv(right, c)
        y = Add(first, second) }""",
    "resized": """(float[1,3,4,5] x) => (float[1,4,8,10] y)
        <float[18,3,1,1] a, float[4] scales = {1, 1, 2, 2}, float[4,18,3,3] b> {
        small = Conv(x, a)
        large = Resize<mode="nearest", coordinate_transformation_mode="asymmetric">(small, , scales)
        y = Conv<pads=[1,1,1,1]>(large, b) }""",
    "channels that become pixels": """(float[1,3,4,5] x) => (float[1,4,8,10] y, float[1,5,8,10] z)
        <float[24,3,1,1] a, float[4,6,3,3] b, float[5,6,1,1] c> {
        small = Conv(x, a)
        places = DepthToSpace<blocksize=2>(small)
        channels = DepthToSpace<blocksize=2, mode="CRD">(small)
        y = Conv<pads=[1,1,1,1]>(places, b)
        z = Conv(channels, c) }""",
    "transposed convolutions": """(float[1,3,4,5] x) => (float[1,4,28,31] y)
        <float[20,3,1,1] a, float[20,18,2,2] b, float[18] d, float[18,9,3,3] e, float[18] f, float[18,4,4,3] c> {
        small = Conv(x, a)
        twice = ConvTranspose<strides=[2,2]>(small, b, d)
        some = Relu(twice)
        grouped = ConvTranspose<group=2, strides=[2,1], pads=[1,0,0,2], dilations=[1,2]>(some, e, f)
        y = ConvTranspose<strides=[2,3], pads=[3,1,4,4], output_padding=[1,0]>(grouped, c) }""",
    "shuffled": """(float[1,3,4,5] x) => (float[1,4,4,5] y)
        <float[24,3,1,1] a, int64[5] grouped = {1, 3, 8, 4, 5}, int64[4] flat = {1, 24, 4, 5}, float[4,24,1,1] b> {
        ordered = Conv(x, a)
        groups = Reshape(ordered, grouped)
        turned = Transpose<perm=[0,2,1,3,4]>(groups)
        shuffled = Reshape(turned, flat)
        y = Conv(shuffled, b) }""",
    "a convolution of signals": """(float[1,3,20] x) => (float[1,6,10] y)
        <float[18,3,5] a, float[18] b, float[18,1,3] c, float[6,18,1] d, float[6,36,1] e> {
        first = Conv<pads=[2,2], strides=[2]>(x, a, b)
        some = Relu(first)
        deep = Conv<pads=[1,1], group=18>(some, c)
        both = Concat<axis=-2>(deep, some)
        gate = Sigmoid(some)
        large = MaxPool<kernel_shape=[3], strides=[1], pads=[1,1]>(gate)
        sum = Add(deep, large)
        more = Conv(both, e)
        less = Conv(sum, d)
        y = Add(more, less) }""",
    "signals that meet something else": """(float[1,3,20] x) => (float[1,20,4] y, float[1,7,20] z)
        <float[4,3,3] a, float[7,4,1] b> {
        z0 = Conv<pads=[1,1]>(x, a)
        turned = Transpose<perm=[0,2,1]>(z0)
        y = Sigmoid(turned)
        z = Conv(z0, b) }""",
    "a product of channels last": """(float[2,5,6,20] x) => (float[2,5,6,7] y)
        <float[20,33] a, float[33] b, float[33,7] c> {
        product = MatMul(x, a)
        sum = Add(product, b)
        some = Sigmoid(sum)
        y = MatMul(some, c) }""",
    "a product with a bias": """(float[1,7,20] x) => (float[1,7,6] y)
        <float[20,33] a, float[33] b, float[33,6] c, float[6] d> {
        product = MatMul(x, a)
        sum = Add(b, product)
        some = Relu(sum)
        last = MatMul(some, c)
        y = Add(last, d) }""",
}
FP32 = {"direct", "product", "resample", "concat", "elementwise"}


def quantized(name: str) -> Model:
    network = model(f"net {NETWORKS[name]}")
    Quantize(calibration="random").apply(network)
    return network


@pytest.mark.parametrize("core", ["cortex-a72", "neoverse-n1", "neoverse-v2"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_core_computes_the_meaning(name, core):
    network = quantized(name)
    inputs = random_inputs(network, np.random.default_rng(1))
    program = lower(network, find(core))
    found, expected = run_on_core(program, inputs), integer.run(network, inputs)
    for output, array in expected.items():
        np.testing.assert_array_equal(found[output], array)
    assert not FP32 & {call.kernel.family for call in program.calls if call.kernel.args[0].dtype == "float32"}


@pytest.mark.parametrize("name", NETWORKS)
def test_spare_pairs_change_nothing(name):
    network = quantized(name)
    inputs = random_inputs(network, np.random.default_rng(1))
    fewer = clone(network)
    drop_spare_pairs(fewer)
    for before, after in zip(integer.run(network, inputs).values(), integer.run(fewer, inputs).values(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("target", ["cortex-a72", "host"])
@pytest.mark.parametrize("mapped", [(True, False, True), (False, False, False)])
def test_sources_of_any_width_are_joined(exact, target, mapped):
    rng = np.random.default_rng(0)
    sources = tuple(Image(1, 3, 4, c, border, 16, "int8") for c, border in ((5, 1), (32, 0), (19, 2)))
    images = [source.place(rng.integers(-128, 128, (1, 3, 4, source.c)), 7) for source in sources]
    kernel = Int8Concat(sources, Image(1, 3, 4, 56, 1, 16, "int8"), mapped)
    tables = rng.integers(-128, 128, kernel.args[-3].shape).astype(np.int8)
    exact(kernel, [*images, tables, np.array([-3, -128, 127], np.int32)], target)
