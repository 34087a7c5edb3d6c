"""Operators that choose or repeat elements, or that ONNX defines by others, equal onnxruntime on core and host."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from galen.backends.build import compile as build
from galen.backends.execution import run_on_core
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir.execute import random_inputs, run
from galen.ir.io import from_proto

NODES = {
    "GatherElements": "int64[2,2,4] i = {0,2,1,0, 2,2,-3,1, 1,0,0,0, 2,1,2,-1}> { y = GatherElements<axis=1>(x, i) }",
    "GatherND": "int64[2,1] i = {2, -1}> { y = GatherND<batch_dims=1>(x, i) }",
    "ScatterND": 'int64[2,1] i = {1, 0}, float[2,3,4] u> { y = ScatterND<reduction="add">(x, i, u) }',
    "TopK": "int64[1] k = {3}> { y, p = TopK<largest=0>(x, k) }",
    "Tile": "int64[3] r = {2, 1, 3}> { y = Tile(x, r) }",
    "Expand": "int64[4] s = {2, 2, 3, 4}> { y = Expand(x, s) }",
    "GroupNormalization": "float[3] a, float[3] b> { y = GroupNormalization<num_groups=3>(x, a, b) }",
    "ReduceSumSquare": "int64[1] i = {1}> { y = ReduceSumSquare(x, i) }",
}


@pytest.mark.parametrize("operator", NODES)
def test_an_operator_equals_onnxruntime(operator: str, tmp_path: Path) -> None:
    results = "float[] y, int64[] p" if operator == "TopK" else "float[] y"
    head = f'<ir_version: 10, opset_import: ["" : 21]> one (float[2,3,4] x) => ({results}) <'
    proto = onnx.parser.parse_model(head + NODES[operator])
    rng = np.random.default_rng(0)
    for value in list(proto.graph.value_info):
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        array = rng.standard_normal(shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
    del proto.graph.value_info[:]
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    network = from_proto(proto)
    inputs = random_inputs(network, np.random.default_rng(1))
    expected, on_core = run(network, inputs), run_on_core(lower(network, find("cortex-a72")), inputs)
    on_host = build(network, find("host"), tmp_path / "net.so").run(inputs)
    for name, right in expected.items():
        np.testing.assert_allclose(on_core[name], right, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(on_host[name], right, rtol=1e-4, atol=1e-5)
