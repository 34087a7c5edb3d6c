"""Operators that make images larger equal onnxruntime, on the emulated core and on the host."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from galen.backends.build import compile as build
from galen.backends.cache import LatencyCache
from galen.backends.execution import run_on_core
from galen.backends.lower import lower
from galen.backends.runner import EmulatorRunner
from galen.backends.targets import find
from galen.ir.execute import random_inputs, run
from galen.ir.io import from_proto

RESIZE = """
<ir_version: 8, opset_import: ["" : 18]>
grow (float[2,5,3,4] x) => (float[2,5,{h},{w}] y)
<float[0] none = {{}}, float[0] nothing = {{}}, int64[4] sizes = {{2, 5, {h}, {w}}}>
{{ y = Resize<{options}>(x, none, nothing, sizes) }}
"""

TRANSPOSED = """
<ir_version: 8, opset_import: ["" : 17]>
grow (float[1,{ci},{size}] x) => (float[1,{co},{out}] y) <float[{ci},{shape}] w, float[{co}] b>
{{ a = ConvTranspose<{options}>(x, w, b)  y = Relu(a) }}
"""

SHUFFLE = """
<ir_version: 8, opset_import: ["" : 17]>
shuffle (float[2,24,3,4] x) => (float[2,6,6,8] y)
{{ a = DepthToSpace<blocksize=2, mode="{mode}">(x)  y = Relu(a) }}
"""


def equals_onnxruntime(text: str, folder: Path) -> set[str]:
    """Check a network on both machines and return the families of its kernels."""
    proto = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    for value in list(proto.graph.value_info):
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        array = rng.standard_normal(shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
    del proto.graph.value_info[:]
    network = from_proto(proto)
    inputs = random_inputs(network, np.random.default_rng(1))
    program = lower(network, find("cortex-a72"))
    (expected,) = run(network, inputs).values()
    (on_core,) = run_on_core(program, inputs).values()
    (on_host,) = build(network, find("host"), folder / "net.so").run(inputs).values()
    for result in (on_core, on_host):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)
    return {call.kernel.family for call in program.calls}


@pytest.mark.parametrize(
    ("h", "w", "options"),
    [
        (6, 8, 'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"'),
        (5, 7, 'mode="nearest"'),
        (6, 12, 'mode="linear"'),
        (5, 9, 'mode="linear", coordinate_transformation_mode="align_corners"'),
        (2, 9, 'mode="linear", coordinate_transformation_mode="pytorch_half_pixel"'),
        (7, 9, 'mode="cubic", cubic_coeff_a=-0.5, exclude_outside=1'),
    ],
)
def test_resize(h: int, w: int, options: str, tmp_path: Path) -> None:
    assert "resample" in equals_onnxruntime(RESIZE.format(h=h, w=w, options=options), tmp_path)


@pytest.mark.parametrize(
    ("size", "shape", "out", "options"),
    [
        ("4,5", "3,4,4", "8,10", "strides=[2,2], pads=[1,1,1,1]"),
        ("4,5", "3,3,3", "8,10", "strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]"),
        ("3,4", "3,2,5", "8,16", "strides=[3,4], pads=[0,0,0,1]"),
        ("4,4", "3,3,3", "4,4", "pads=[1,1,1,1]"),
        ("3,3", "3,2,2", "7,5", "strides=[2,1], dilations=[2,2]"),
        ("5", "3,4", "12", "strides=[2]"),
    ],
)
def test_transposed_convolution(size: str, shape: str, out: str, options: str, tmp_path: Path) -> None:
    text = TRANSPOSED.format(ci=4, co=3, size=size, shape=shape, out=out, options=options)
    families = equals_onnxruntime(text, tmp_path)
    assert "interleave" in families
    assert "fallback" not in families


def test_transposed_convolution_in_groups(tmp_path: Path) -> None:
    text = TRANSPOSED.format(ci=4, co=6, size="3,3", shape="3,3,3", out="7,7", options="strides=[2,2], group=2")
    assert "fallback" not in equals_onnxruntime(text, tmp_path)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(mode: str, tmp_path: Path) -> None:
    assert "interleave" in equals_onnxruntime(SHUFFLE.format(mode=mode), tmp_path)


def test_indices_stay_within_a_small_image_when_it_is_timed(tmp_path: Path) -> None:
    network = from_proto(onnx.parser.parse_model(RESIZE.format(h=6, w=8, options='mode="linear"')))
    runner = EmulatorRunner(find("cortex-a72"), LatencyCache(tmp_path / "times.db"))
    assert runner.latency(lower(network, runner.target)).median > 0
