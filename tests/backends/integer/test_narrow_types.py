"""ONNX's integers of four and two bits, as exporters write them: read, computed exactly, lowered to integer kernels."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from galen.backends.execution import run_on_core
from galen.backends.integer import run
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir.io import load

NETWORK = """<ir_version: {ir}, opset_import: ["" : {opset}]>
g (float[1, 6, 8, 8] x) => (float[1, 8, 8, 8] y) <float s = {{0.5}}>
{{
  xq = QuantizeLinear(x, s, z)
  xd = DequantizeLinear(xq, s, z)
  wd = DequantizeLinear<axis = 0>(w, ws, wz)
  c = Conv<pads = [1, 1, 1, 1]>(xd, wd)
  r = Relu(c)
  rq = QuantizeLinear(r, s, z)
  y = DequantizeLinear(rq, s, z)
}}"""


def network(weights: type, activations: type, rng: np.random.Generator) -> onnx.ModelProto:
    narrow = ml_dtypes.iinfo(weights)
    new = "int2" in narrow.dtype.name
    model = onnx.parser.parse_model(NETWORK.format(ir=13 if new else 10, opset=25 if new else 21))
    tensors = {
        "w": rng.integers(narrow.min, narrow.max + 1, (8, 6, 3, 3)).astype(np.int8).astype(weights),
        "wz": np.full(8, (narrow.min + narrow.max + 1) // 2, np.int8).astype(weights),
        "ws": rng.uniform(0.01, 0.1, 8).astype(np.float32),
        "z": np.asarray(7, np.int8).astype(activations),
    }
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in tensors.items())
    return model


@pytest.mark.parametrize("activations", [ml_dtypes.uint4, np.uint8])
@pytest.mark.parametrize("weights", [ml_dtypes.int4, ml_dtypes.uint4, ml_dtypes.int2])
def test_they_mean_what_onnx_says(weights, activations):
    rng = np.random.default_rng(0)
    model = network(weights, activations, rng)
    feeds = {"x": rng.normal(0, 2, (1, 6, 8, 8)).astype(np.float32)}
    (expected,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_array_equal(run(load(model.SerializeToString()), feeds)["y"], expected)


def test_they_are_computed_in_integers():
    rng = np.random.default_rng(1)
    model = load(network(ml_dtypes.uint4, ml_dtypes.uint4, rng).SerializeToString())
    feeds = {"x": rng.normal(0, 2, (1, 6, 8, 8)).astype(np.float32)}
    program = lower(model, find("cortex-a72"))
    assert any(call.kernel.family.startswith("int8-") and call.kernel.macs for call in program.calls)
    np.testing.assert_array_equal(run_on_core(program, feeds)["y"], run(model, feeds)["y"])
