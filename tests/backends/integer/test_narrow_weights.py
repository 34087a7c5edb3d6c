"""Weights alone as integers: large products read them at their width and compute in fp32."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from galen.backends.execution import run_on_core
from galen.backends.kernels.base import Image
from galen.backends.kernels.narrow_product import NarrowProduct
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.execute import run
from galen.ir.io import load
from galen.passes.quantize import Quantize

NETWORK = """<ir_version: 8, opset_import: ["" : 17]>
g (float[{rows}, {k}] x) => (float[{rows}, {columns}] y) {{ y = {product} }}"""
PRODUCTS = {"Gemm": "Gemm<transB = 1>(x, w, b)", "MatMul": "MatMul(x, w)"}


def quantized(name: str, rows: int, k: int, columns: int, bits: int) -> Model:
    rng = np.random.default_rng(0)
    text = NETWORK.format(rows=rows, k=k, columns=columns, product=PRODUCTS[name])
    model = onnx.parser.parse_model(text)
    shape = (columns, k) if name == "Gemm" else (k, columns)
    tensors = {"w": rng.normal(0, 0.1, shape), "b": rng.normal(0, 1, columns)}
    model.graph.initializer.extend(numpy_helper.from_array(a.astype(np.float32), n) for n, a in tensors.items())
    for node in model.graph.node:
        node.name = "layer"
    loaded = load(model.SerializeToString())
    Quantize(weight_bits=bits, activation_bits=32, calibration="random").apply(loaded)
    return loaded


@pytest.mark.parametrize(("name", "rows", "bits"), [("Gemm", 1, 8), ("Gemm", 3, 4), ("MatMul", 1, 4)])
def test_a_large_product_reads_weights_at_their_width(name, rows, bits):
    model = quantized(name, rows, 1030, 520, bits)
    program = lower(model, find("cortex-a72"))
    (call,) = program.calls
    assert call.kernel.family == "narrow-weights"
    assert call.kernel.args[1].nbytes == pytest.approx(1030 * 520 * bits / 8, rel=0.02)
    feeds = {"x": np.random.default_rng(1).normal(0, 1, (rows, 1030)).astype(np.float32)}
    (expected,) = run(model, feeds, optimize=False).values()  # optimised, onnxruntime rounds activations, too
    np.testing.assert_allclose(run_on_core(program, feeds)["y"], expected, rtol=1e-4, atol=1e-4)


def test_a_small_product_stays_in_fp32():
    program = lower(quantized("Gemm", 1, 64, 64, 8), find("cortex-a72"))
    assert all(call.kernel.family != "narrow-weights" for call in program.calls)


@pytest.mark.parametrize("bits", [4, 8])
def test_integers_unpack_to_what_was_packed(bits):
    kernel = NarrowProduct(Image(1, 1, 1, 9, lanes=1), Image(1, 1, 1, 21, lanes=1), bits)
    integers = np.random.default_rng(0).integers(1 - 2 ** (bits - 1), 2 ** (bits - 1), (9, 21)).astype(np.int8)
    packed = kernel.pack(integers)
    assert packed.nbytes == kernel.args[1].nbytes
    np.testing.assert_array_equal(kernel.unpack(packed), integers)
