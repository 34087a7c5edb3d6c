"""Windows of every geometry that ONNX knows: what a lowered node means is what onnxruntime computes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from interpret import interpret
from onnx import helper, numpy_helper

from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir import GalenError
from galen.ir.execute import run
from galen.ir.io import from_proto

CORE = find("cortex-a72")


@st.composite
def geometries(draw: st.DrawFn, operator: str) -> dict[str, Any]:
    """Attributes of a node over one to three axes."""
    transposed, conv = operator == "ConvTranspose", operator.startswith("Conv")
    rank = draw(st.integers(1, 2 if transposed else 3))

    def each(low: int, high: int, count: int = rank) -> list[int]:
        return draw(st.lists(st.integers(low, high), min_size=count, max_size=count))

    found: dict[str, Any] = {"kernel_shape": each(1, 4), "strides": each(1, 3)}
    found["auto_pad"] = draw(st.sampled_from(["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if found["auto_pad"] == "NOTSET":
        least = min(found["kernel_shape"])
        found["pads"] = each(0, 2 if conv else least - 1, 2 * rank)
        found["dilations"] = each(1, 2)
    if conv:
        found["group"] = draw(st.integers(1, 2))
    else:
        found["ceil_mode"] = draw(st.integers(0, 1)) if found["auto_pad"] == "NOTSET" else 0
    if operator == "AveragePool":
        found["count_include_pad"] = draw(st.integers(0, 1))
    if transposed and found["auto_pad"] == "NOTSET":
        found["output_padding"] = [draw(st.integers(0, s - 1)) for s in found["strides"]]
    return found


def is_sound(geometry: dict[str, Any], extents: list[int]) -> bool:
    """Return whether every window reads something and some window exists: else every engine says something else."""
    rank, pads = len(extents), np.array(geometry.get("pads", [0] * 2 * len(extents)))
    dilations = np.array(geometry.get("dilations", [1] * rank))
    spans = (np.array(geometry["kernel_shape"]) - 1) * dilations + 1
    if geometry["auto_pad"].startswith("SAME"):
        return bool(np.all(spans >= geometry["strides"]))
    return bool(np.all(spans <= extents + pads[:rank] + pads[rank:]) and np.all(dilations <= extents))


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool", "Conv", "ConvTranspose"])
@settings(max_examples=120, deadline=None, derandomize=True)
@given(data=st.data(), seed=st.integers(0, 99))
def test_any_geometry(operator: str, data: st.DataObject, seed: int) -> None:
    geometry, rng = data.draw(geometries(operator)), np.random.default_rng(seed)
    rank, groups = len(geometry["kernel_shape"]), geometry.get("group", 1)
    extents = data.draw(st.lists(st.integers(1, 7), min_size=rank, max_size=rank))
    assume(operator == "ConvTranspose" or is_sound(geometry, extents))
    inputs = {"x": rng.standard_normal((2, 3 * groups, *extents)).astype(np.float32)}
    own = (3 * groups, 2) if operator == "ConvTranspose" else (2 * groups, 3)
    weights = rng.standard_normal((*own, *geometry["kernel_shape"])).astype(np.float32)
    names = ["x", "w"] if operator.startswith("Conv") else ["x"]
    node = helper.make_node(operator, names, ["y"], name="layer", **geometry)
    x = helper.make_tensor_value_info("x", 1, inputs["x"].shape)
    initializers = [numpy_helper.from_array(weights, "w")][: len(names) - 1]
    graph = helper.make_graph([node], "g", [x], [helper.make_tensor_value_info("y", 1, None)], initializers)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    try:
        ((_, expected),) = run(from_proto(proto), inputs).items()
    except GalenError:
        assume(False)  # onnxruntime refuses the geometry
    assume(expected.size and np.isfinite(expected).all())
    found = interpret(lower(from_proto(proto), CORE), inputs)["y"]
    if geometry.get("ceil_mode"):  # ONNX's shape inference counts windows that begin behind the padding, too
        assume(found.shape == expected.shape)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
