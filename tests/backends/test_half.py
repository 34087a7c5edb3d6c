"""Every fp16 kernel computes its reference, in double precision, to within the rounding of fp16, at any shape."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kernel_check import outputs_on_core, random_inputs

from galen.backends.kernels.base import Image, Kernel
from galen.backends.kernels.conv import DirectConv
from galen.backends.kernels.depthwise import DepthwiseConv
from galen.backends.kernels.elementwise import Elementwise
from galen.backends.kernels.functions import FUNCTIONS
from galen.backends.kernels.layout import FromImage, Move, ToImage
from galen.backends.kernels.pool import GlobalAverage, Pool
from galen.backends.kernels.product import Product
from galen.backends.kernels.registers import LONGEST, Tile, best_tile
from galen.backends.kernels.steps import Activation, Binary, Convert
from galen.backends.kernels.window import Window
from galen.backends.kernels.winograd import WinogradConv
from galen.backends.objects import objects
from galen.backends.targets import find

CORE = find("cortex-a76")
ROUNDED = 2**-10
"""Half a unit in the last place of fp16, twice: once for the result, once for what an epilogue does with it."""
SUMMED = 4e-3
"""Of sums in parts of `LONGEST` products; the root of the mean square is a third of that."""
TRANSFORMED = 8e-3
"""Of sums of sums: Winograd's F(2, 3)."""

few = settings(max_examples=3, deadline=None, phases=[Phase.generate], derandomize=True)
channels = st.integers(1, 37)
extents = st.integers(1, 9)
depths = st.sampled_from((1, 3, 16, LONGEST - 1, LONGEST + 1, 2 * LONGEST + 5))
seeds = st.integers(0, 9)


def half(h: int, w: int, c: int, border: int = 0) -> Image:
    """An image in fp16."""
    return Image(1, h, w, c, border, 8, "float16")


def rows(count: int, columns: int) -> Image:
    """A dense matrix in fp16."""
    return Image(1, 1, count, columns, lanes=1, dtype="float16")


def check(kernel: Kernel, inputs: list[np.ndarray], tolerance: float) -> None:
    """Assert that results differ by at most `tolerance` times the largest."""
    expected = kernel.reference(*inputs)
    sink = getattr(kernel, "sink", None)
    stored = sink.c if isinstance(sink, Image) else None
    with TemporaryDirectory() as folder:
        results = outputs_on_core(kernel, inputs, Path(folder), CORE)
    for result, right in zip(results, expected, strict=True):
        assert result.dtype == right.dtype
        wanted = right[..., :stored].astype(np.float64)
        np.testing.assert_allclose(
            result[..., :stored], wanted, rtol=0, atol=tolerance * np.abs(wanted).max(initial=1e-3)
        )


def inputs_of(kernel: Kernel, seed: int, fan_in: int = 1) -> list[np.ndarray]:
    """Random arguments, weights so small that results are about 1; padding channels hold nonsense, borders zero."""
    inputs = random_inputs(kernel, seed)
    source = getattr(kernel, "source", None)
    if isinstance(source, Image):
        memory = np.zeros_like(inputs[0])
        memory[..., source.c :] = np.nan
        source.interior(memory)[...] = source.interior(inputs[0])
        inputs[0] = memory
    if fan_in > 1:
        inputs[1] = (inputs[1].astype(np.float32) * 2 / fan_in**0.5).astype(np.float16)
    return inputs


@few
@given(extents, depths, channels, st.sampled_from((1, 2)), seeds)
def test_direct_convolution(side, ci, co, stride, seed) -> None:
    out = -(-side // stride)
    steps = (Binary("add", half(out, out, co, 2)), Activation("relu"))
    window = Window(3, 3, stride, stride, top=1, left=1)
    kernel = DirectConv(half(side, side, ci, 2), half(out, out, co, 1), window, steps, best_tile(co, out, CORE, unit=8))
    check(kernel, inputs_of(kernel, seed, 9 * ci), SUMMED)


@few
@given(st.integers(2, 4), st.integers(1, 9), st.integers(1, 9), seeds)
def test_grouped_convolution(groups, ci, co, seed) -> None:
    source, sink = half(5, 6, groups * ci, 1), half(5, 6, groups * co)
    kernel = DirectConv(source, sink, Window(3, 3, top=1, left=1), (), Tile(4, 3), groups)
    check(kernel, inputs_of(kernel, seed, 9 * ci), SUMMED)


@few
@given(st.integers(1, 9), depths, channels, seeds)
def test_matrix_product_with_constant_weights(count, k, columns, seed) -> None:
    tile = best_tile(columns, count, CORE, unit=8)
    kernel = DirectConv(rows(count, k), rows(count, columns), Window(1, 1), (Activation("relu"),), tile)
    check(kernel, random_inputs(kernel, seed), SUMMED)


@few
@given(st.integers(1, 3), st.integers(1, 9), depths, st.integers(1, 23), seeds)
def test_product_of_computed_matrices(batch, m, k, n, seed) -> None:
    kernel = Product(batch, m, k, n, Tile(4, 3), (Activation("relu"),), "float16", "float16")
    check(kernel, random_inputs(kernel, seed), SUMMED)


@pytest.mark.parametrize("stride", [1, 2])
@few
@given(side=extents, ci=depths, co=channels, seed=seeds)
def test_winograd(stride, side, ci, co, seed) -> None:
    tiles, pixels = -(-side // 2), side * stride
    window = Window(3, 3, stride, stride, top=1, left=1)
    source = half(pixels, pixels, ci, window.border((pixels, pixels), (2 * tiles, 2 * tiles)))
    sink, steps = half(side, side, co, 1), (Activation("relu"),)
    kernel = WinogradConv(source, sink, 1, 1, steps, 2, 1, Tile(4, 3), stride)
    generator = np.random.default_rng(seed)
    weights = generator.standard_normal((co, ci, 3, 3)).astype(np.float32) / (3 * ci**0.5)
    constants = kernel.pack_weights(weights), kernel.pack_bias(generator.standard_normal(co))
    check(kernel, [inputs_of(kernel, seed)[0], *constants], TRANSFORMED)


@few
@given(extents, channels, st.sampled_from((1, 2)), seeds)
def test_depthwise_convolution(side, c, stride, seed) -> None:
    out = -(-side // stride)
    window = Window(3, 3, stride, stride, top=1, left=1)
    kernel = DepthwiseConv(half(side, side, c, 2), half(out, out, c, 1), window, (Activation("relu"),))
    check(kernel, inputs_of(kernel, seed), SUMMED)


@few
@given(extents, channels, st.sampled_from(["max", "average"]), seeds)
def test_pooling(side, c, kind, seed) -> None:
    kernel = Pool(half(side, side, c, 1), half(side, side, c, 2), Window(3, 3, top=1, left=1), kind)
    check(kernel, inputs_of(kernel, seed), SUMMED)


@few
@given(st.integers(1, 40), channels, seeds)
def test_an_average_over_many_pixels_is_as_exact_as_over_few(side, c, seed) -> None:
    kernel = GlobalAverage(half(side, side, c, 1), half(1, 1, c))
    inputs = inputs_of(kernel, seed)
    inputs[0] += 1
    check(kernel, inputs, ROUNDED)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_exact_to_the_rounding_of_its_result(name: str) -> None:
    image = rows(1, 61)
    x = np.linspace(0.1, 6, 61, dtype=np.float16).reshape(image.spec.shape)
    x = x if name in {"sqrt", "reciprocal", "log"} else x - np.float16(3)
    alpha, beta = (-2.0, 3.0) if name == "clip" else (0.2, 0.5)
    check(Elementwise(image, image, (Activation(name, alpha, beta),)), [x], ROUNDED)


@pytest.mark.parametrize("name", ["add", "sub", "rsub", "mul", "div", "rdiv", "max", "min", "prelu"])
def test_every_binary_operator(name: str) -> None:
    image = half(3, 5, 12, 1)
    kernel = Elementwise(image, image, (Activation("abs"), Activation("affine", 1.0, 0.5), Binary(name, image)))
    check(kernel, [1.5 + array for array in inputs_of(kernel, 0)], 2 * ROUNDED)


@pytest.mark.parametrize("c", [1, 3, 12, 17])
def test_casts_between_images_whose_memory_has_unlike_channels(c: int) -> None:
    for source, sink in ((half(3, 4, c, 1), Image(1, 3, 4, c, 2)), (Image(1, 3, 4, c, 2), half(3, 4, c, 1))):
        kernel = Elementwise(source, sink, (Convert(sink.dtype),))
        check(kernel, inputs_of(kernel, 0), 0)


@pytest.mark.parametrize("c", [3, 12, 20])
def test_an_epilogue_may_end_in_fp32(c: int) -> None:
    source, sink, steps = half(5, 5, c, 3), Image(1, 5, 5, c, 1), (Activation("relu"), Convert("float32"))
    window = Window(3, 3, top=1, left=1)
    direct = DirectConv(source, sink, window, steps, Tile(4, 3))
    for kernel in (direct, DepthwiseConv(source, sink, window, steps), Pool(source, sink, window, "max", 0, steps)):
        check(kernel, inputs_of(kernel, 0, 9 * c if kernel is direct else 1), SUMMED)
    winograd = WinogradConv(source, sink, 1, 1, steps, 2, 1, Tile(4, 3))
    weights = np.random.default_rng(0).standard_normal((c, c, 3, 3)).astype(np.float32) / (3 * c**0.5)
    check(winograd, [inputs_of(winograd, 0)[0], winograd.pack_weights(weights), winograd.pack_bias(None)], TRANSFORMED)


@pytest.mark.parametrize("c", [3, 16])
def test_layouts(c: int) -> None:
    image = half(4, 5, c, 1)
    for kernel in (ToImage(image), FromImage(image), Move(image, half(2, 5, c, 2), (2, 5, c), (1, 0, 0))):
        check(kernel, random_inputs(kernel, 0), 0)


def test_sums_are_made_of_fp16_instructions_and_their_parts_added_in_fp32(tmp_path: Path) -> None:
    from capstone import CS_ARCH_ARM64, CS_MODE_ARM, Cs

    kernel = DirectConv(half(8, 8, 256, 1), half(8, 8, 32), Window(3, 3, top=1, left=1), (), Tile(6, 4))
    (path,) = objects([kernel], CORE, tmp_path).values()
    engine = Cs(CS_ARCH_ARM64, CS_MODE_ARM)
    engine.skipdata = True
    code = [f"{i.mnemonic} {i.op_str}" for i in engine.disasm(Path(path).read_bytes(), 0)]
    products = [line for line in code if line.startswith("fmla v")]
    assert len(products) > 100
    assert all(".8h" in line for line in products)
    assert any(line.startswith("fcvtl") for line in code)
