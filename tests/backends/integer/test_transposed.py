"""ConvTranspose of integers: sums equal onnxruntime's for any geometry, and lowered networks the numpy meaning."""

from typing import Any

import numpy as np
import onnx
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import helper

from galen.backends import integer
from galen.backends.execution import run_on_core
from galen.backends.integer_windows import convolve_transposed
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.backends.transposition import axes_of
from galen.ir import Model
from galen.ir.execute import run
from galen.ir.io import from_proto
from galen.passes.quantize import Quantize


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, Any]:
    """Attributes of a ConvTranspose of images, as ONNX has them."""
    two = lambda low, high: draw(st.tuples(*[st.integers(low, high)] * 2))  # noqa: E731
    found = {"strides": two(1, 3), "dilations": two(1, 2), "kernel_shape": two(1, 4), "group": draw(st.integers(1, 2))}
    match draw(st.sampled_from(["pads", "SAME_UPPER", "SAME_LOWER", "shape"])):
        case "pads":
            found["pads"] = (*two(0, 2), *two(0, 2))
            found["output_padding"] = [draw(st.integers(0, s - 1)) for s in found["strides"]]
        case "shape":
            found["output_shape"] = two(6, 12)
        case mode:
            found["auto_pad"] = mode
    return found


def network(geometry: dict[str, Any], source: tuple[int, int], weights: np.ndarray) -> Model | None:
    """Return a model of one ConvTranspose, None where the geometry leaves nothing."""
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], name="layer", **geometry)
    axes = axes_of(from_proto(wrap(node, weights, None)).graph[0], source, weights.shape[2:])
    full = [(extent - 1) * a.stride + a.kernel for extent, a in zip(source, axes, strict=True)]
    extents = [a.out for a in axes]
    if min(extents) < 1 or ("output_shape" in geometry and any(np.greater(extents, full))):
        return None
    return from_proto(wrap(node, weights, [1, weights.shape[1] * geometry["group"], *extents], source))


def wrap(node: Any, weights: np.ndarray, out: list[int] | None, source: tuple[int, int] = (1, 1)) -> onnx.ModelProto:
    x = helper.make_tensor_value_info("x", 1, [1, weights.shape[0], *source])
    y = helper.make_tensor_value_info("y", 1, out)
    graph = helper.make_graph([node], "g", [x], [y], [onnx.numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


sources = st.tuples(st.integers(1, 5), st.integers(1, 5))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(geometries(), sources, st.integers(0, 99))
def test_sums_are_onnxruntimes(geometry: dict[str, Any], source: tuple[int, int], seed: int) -> None:
    rng, groups = np.random.default_rng(seed), geometry["group"]
    weights = rng.integers(-9, 10, (3 * groups, 2, *geometry["kernel_shape"]))
    x = rng.integers(-9, 10, (1, 3 * groups, *source))
    model = network(geometry, source, weights.astype(np.float32))
    assume(model is not None)
    ((_, expected),) = run(model, {"x": x.astype(np.float32)}, optimize=False).items()
    np.testing.assert_array_equal(convolve_transposed(x, weights, model.graph[0]), expected)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(geometries(), sources, st.integers(0, 99))
def test_a_core_computes_the_meaning(geometry: dict[str, Any], source: tuple[int, int], seed: int) -> None:
    rng, groups = np.random.default_rng(seed), geometry["group"]
    weights = rng.standard_normal((9 * groups, 5, *geometry["kernel_shape"])).astype(np.float32)
    model = network(geometry, source, weights)
    assume(model is not None)
    Quantize(calibration="random").apply(model)
    inputs = {"x": rng.standard_normal((1, 9 * groups, *source)).astype(np.float32)}
    program = lower(model, find("cortex-a72"))
    assert "direct" not in {call.kernel.family for call in program.calls}
    np.testing.assert_array_equal(run_on_core(program, inputs)["y"], integer.run(model, inputs)["y"])
