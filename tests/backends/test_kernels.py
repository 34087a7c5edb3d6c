"""Every fp32 kernel family computes its reference at any shape, on the emulated ARM core and on the host."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kernel_check import check, random_inputs

from galen.backends.kernels.base import Image
from galen.backends.kernels.concat import Concat
from galen.backends.kernels.conv import DirectConv
from galen.backends.kernels.depthwise import DepthwiseConv
from galen.backends.kernels.elementwise import Elementwise
from galen.backends.kernels.functions import FUNCTIONS
from galen.backends.kernels.interleave import Interleave
from galen.backends.kernels.layout import FromImage, Move, ToImage
from galen.backends.kernels.permute import Permute
from galen.backends.kernels.pool import GlobalAverage, Pool
from galen.backends.kernels.product import Product
from galen.backends.kernels.registers import Tile, best_tile
from galen.backends.kernels.resample import Resample
from galen.backends.kernels.rows import LayerNorm, Softmax
from galen.backends.kernels.steps import Activation, Binary
from galen.backends.kernels.window import Window
from galen.backends.kernels.winograd import WinogradConv
from galen.backends.targets import find

few = settings(max_examples=4, deadline=None, phases=[Phase.generate], derandomize=True)
channels = st.integers(1, 21)
extents = st.integers(1, 13)
seeds = st.integers(0, 9)


@st.composite
def windows(draw: st.DrawFn) -> tuple[Window, tuple[int, int], tuple[int, int]]:
    """A window with the pixels of its input and its output."""
    kh, kw, sy, sx, dy, dx = (draw(st.integers(1, high)) for high in (4, 4, 3, 3, 2, 2))
    reach = (dy * (kh - 1), dx * (kw - 1))
    top, left = draw(st.integers(0, reach[0])), draw(st.integers(0, reach[1]))
    h, w = draw(extents) + reach[0], draw(extents) + reach[1]
    window = Window(kh, kw, sy, sx, dy, dx, top, left)
    return window, (h, w), ((h + 2 * top - reach[0] - 1) // sy + 1, (w + 2 * left - reach[1] - 1) // sx + 1)


@few
@given(windows(), channels, channels, st.integers(1, 2), seeds)
def test_direct_convolution(shape, ci, co, n, seed) -> None:
    window, (h, w), (oh, ow) = shape
    source = Image(n, h, w, ci, window.border((h, w), (oh, ow)))
    sink = Image(n, oh, ow, co, 1)
    steps = (Binary("add", Image(n, oh, ow, co, 2)), Activation("relu"))
    run(DirectConv(source, sink, window, steps, best_tile(co, ow, find("cortex-a72"))), seed)


@few
@given(windows(), st.integers(2, 4), st.integers(1, 9), st.integers(1, 9), seeds)
def test_grouped_convolution(shape, groups, ci, co, seed) -> None:
    window, (h, w), (oh, ow) = shape
    source = Image(1, h, w, groups * ci, window.border((h, w), (oh, ow)))
    sink = Image(1, oh, ow, groups * co, 1)
    run(DirectConv(source, sink, window, (Activation("relu"),), Tile(4, 3), groups), seed)


@few
@given(st.integers(1, 9), st.integers(1, 40), channels, seeds)
def test_matrix_product_with_constant_weights(rows, k, columns, seed) -> None:
    source, sink = Image(1, 1, rows, k, lanes=1), Image(1, 1, rows, columns, lanes=1)
    run(
        DirectConv(source, sink, Window(1, 1), (Activation("relu"),), best_tile(columns, rows, find("cortex-a72"))),
        seed,
    )


@pytest.mark.parametrize(("m", "stride"), [(2, 1), (4, 1), (6, 1), (2, 2), (4, 2)])
@settings(few, max_examples=2)
@given(shape=st.tuples(extents, extents), ci=channels, co=channels, band=st.integers(1, 3), seed=seeds)
def test_winograd(m: int, stride: int, shape, ci, co, band, seed) -> None:
    (h, w), window = shape, Window(3, 3, stride, stride, top=1, left=1)
    rows, columns = -(-h // m), -(-w // m)
    pixels = (h * stride, w * stride)
    source = Image(1, *pixels, ci, window.border(pixels, (rows * m, columns * m)))
    sink = Image(1, h, w, co, 1)
    steps = (Binary("add", Image(1, h, w, co, 2)), Activation("relu"))
    kernel = WinogradConv(source, sink, 1, 1, steps, m, min(band, rows), Tile(4, 3), stride)
    weights = np.random.default_rng(seed).standard_normal((co, ci, 3, 3)).astype(np.float32) / (3 * ci**0.5)
    bias = np.random.default_rng(seed + 1).standard_normal(co).astype(np.float32)
    image, _, _, addend = images(kernel, seed)
    with TemporaryDirectory() as folder:
        inputs = [image, kernel.pack_weights(weights), kernel.pack_bias(bias), addend]
        check(kernel, inputs, Path(folder), {2: 2e-5, 4: 2e-4, 6: 2e-3}[m])


@few
@given(windows(), channels, seeds)
def test_depthwise_convolution(shape, c, seed) -> None:
    window, (h, w), (oh, ow) = shape
    source, sink = Image(1, h, w, c, window.border((h, w), (oh, ow))), Image(1, oh, ow, c, 1)
    kernel = DepthwiseConv(source, sink, window, (Activation("relu"),))
    image, weights, bias = images(kernel, seed)
    weights[..., c:] = bias[c:] = 0
    with TemporaryDirectory() as folder:
        check(kernel, [image, weights, bias], Path(folder))


@few
@given(windows(), channels, st.sampled_from(["max", "average"]), seeds)
def test_pooling_ignores_what_is_outside(shape, c, kind, seed) -> None:
    window, (h, w), (oh, ow) = shape
    run(Pool(Image(1, h, w, c, 1), Image(1, oh, ow, c, 2), window, kind), seed)


@few
@given(extents, extents, channels, seeds)
def test_global_average(h, w, c, seed) -> None:
    run(GlobalAverage(Image(2, h, w, c, 1), Image(2, 1, 1, c)), seed)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_keeps_to_its_exact_form(name: str, tmp_path: Path) -> None:
    image = Image(1, 1, 1, 103, lanes=1)
    x = np.linspace(-12, 12, 103, dtype=np.float32).reshape(image.spec.shape)
    x = abs(x) + 0.1 if name in ("sqrt", "reciprocal", "log") else x
    alpha, beta = (-2.0, 3.0) if name == "clip" else (0.2, 0.5)
    check(Elementwise(image, image, (Activation(name, alpha, beta),)), [x], tmp_path, 2e-6)


@pytest.mark.parametrize("name", ["add", "sub", "rsub", "mul", "div", "rdiv", "max", "min", "prelu"])
def test_every_binary_operator(name: str) -> None:
    image = Image(1, 3, 5, 6, 1)
    run(
        Elementwise(image, image, (Activation("abs"), Activation("affine", 1.0, 0.5), Binary(name, image))),
        0,
        shift=3.0,
    )


@pytest.mark.parametrize("operand", [Image(1, 1, 1, 6), Image(2, 1, 1, 6), Image(1, 1, 1, 1, lanes=1)])
def test_operands_broadcast(operand: Image) -> None:
    image = Image(2, 3, 5, 6, 1)
    run(Elementwise(image, image, (Binary("mul", operand),)), 0)


@few
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 23), st.integers(1, 23), seeds)
def test_product_of_computed_matrices(batch, m, k, n, seed) -> None:
    run(Product(batch, m, k, n, Tile(4, 3), (Activation("relu"),)), seed)


@few
@given(st.integers(1, 4), st.integers(1, 40), seeds)
def test_softmax_and_layer_norm(rows, columns, seed) -> None:
    run(Softmax(rows, columns), seed)
    run(LayerNorm(rows, columns, 1e-5), seed)


@few
@given(st.permutations(range(4)), st.lists(st.integers(1, 6), min_size=4, max_size=4), seeds)
def test_permute_and_slice(order, shape, seed) -> None:
    run(Permute(tuple(shape), tuple(order), "float32"), seed)
    cuts = tuple((extent // 2, 2, -(-(extent - extent // 2) // 2)) for extent in shape)
    run(Permute(tuple(shape), tuple(order), "float32", cuts), seed)


@few
@given(extents, extents, channels, st.integers(1, 3), st.integers(1, 3), st.sampled_from(["places", "channels"]), seeds)
def test_interleave(h, w, c, sy, sx, order, seed) -> None:
    sink = Image(2, max(1, h * sy - 1), max(1, w * sx - 2), c, 1)
    run(Interleave(Image(2, h, w, c * sy * sx, 1), sink, sy, sx, order, sy // 2, 0, (Activation("relu"),)), seed)


@few
@given(extents, extents, channels, st.sampled_from([(1, 1), (2, 2), (1, 4)]), seeds)
def test_resample(h, w, c, taps, seed) -> None:
    kernel = Resample(Image(2, h, w, c, 1), Image(2, 7, 5, c, 2), taps)
    rng, inputs = np.random.default_rng(seed), images(kernel, seed)
    inputs[1], inputs[3] = (rng.integers(0, e, t.shape, np.int32) for e, t in ((h, inputs[1]), (w, inputs[3])))
    with TemporaryDirectory() as folder:
        check(kernel, inputs, Path(folder))


@few
@given(st.lists(channels, min_size=1, max_size=3), seeds)
def test_concat(counts, seed) -> None:
    sources = tuple(Image(1, 3, 4, c, i) for i, c in enumerate(counts))
    run(Concat(sources, Image(1, 3, 4, sum(counts), 2)), seed)


@few
@given(extents, extents, channels, st.integers(0, 3), seeds)
def test_layouts_at_the_edges(h, w, c, border, seed) -> None:
    image = Image(2, h, w, c, border)
    run(ToImage(image), seed)
    run(FromImage(image), seed)
    moved = Image(2, h + 3, w + 2, c + 6, 1)
    run(Move(image, moved, (-(-h // 2), w, c), (0, 0, 0), (2, 1), (1, 2, 5)), seed)


def images(kernel, seed: int) -> list[np.ndarray]:
    """Random inputs; what is an image has zeros in its border and padding channels."""
    layouts = {
        image.spec: image for image in [getattr(kernel, "source", None), *getattr(kernel, "sources", ())] if image
    }
    layouts |= {step.operand.spec: step.operand for step in getattr(kernel, "steps", ()) if step.operand}
    return [layouts[s].place(layouts[s].interior(a)) if s in layouts else a for s, a in specified(kernel, seed)]


def specified(kernel, seed: int):
    return zip(kernel.args, random_inputs(kernel, seed), strict=False)


def run(kernel, seed: int, shift: float = 0.0) -> None:
    inputs = [array + np.float32(shift) if array.ndim == 4 else array for array in images(kernel, seed)]
    if isinstance(kernel, DirectConv):
        rng = np.random.default_rng(seed)
        shape = (kernel.sink.c, kernel.source.c // kernel.groups, kernel.window.kh, kernel.window.kw)
        inputs[1] = kernel.pack_weights(rng.standard_normal(shape).astype(np.float32))
        inputs[2] = kernel.pack_bias(rng.standard_normal(kernel.sink.c).astype(np.float32))
    with TemporaryDirectory() as folder:
        check(kernel, inputs, Path(folder))
