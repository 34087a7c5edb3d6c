"""Models in fp16, whole or in part, run on every core and compute what onnxruntime computes."""

import numpy as np
import pytest
from onnx_text import model as parsed

from galen.backends.execution import run_on_core
from galen.backends.lower import lower
from galen.backends.program import Program
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.execute import random_inputs, run
from galen.passes.cast_fp16 import CastFp16
from galen.passes.policy import FP16, INT8, Bits, Policy
from galen.passes.quantize import Quantize

WITH, WITHOUT = find("cortex-a76"), find("cortex-a72")

RESIDUAL = """
g (float[1,3,9,9] x) => (float[1,5] y) <float[12,3,3,3] w1, float[12,12,3,3] w2, float[12] b, float[12,5] w3> {
   [first] a = Conv<pads = [1, 1, 1, 1]>(x, w1, b)
   [relu] r = Relu(a)
   [second] c = Conv<pads = [1, 1, 1, 1]>(r, w2, b)
   [add] s = Add(c, r)
   [pool] p = GlobalAveragePool(s)
   [flat] f = Flatten(p)
   [soft] t = Softmax(f)
   [last] y = MatMul(t, w3)
}
"""


def whole_in_half() -> Model:
    model = parsed(RESIDUAL)
    CastFp16().apply(model)
    return model


def with_widths(**layers: Bits) -> Model:
    model = parsed(RESIDUAL)
    Quantize(policy=Policy(layers=layers), calibration="random").apply(model)
    return model


def assert_agrees(model: Model, program: Program, tolerance: float = 5e-3) -> None:
    inputs = random_inputs(model, np.random.default_rng(1))
    found = run_on_core(program, inputs)
    for name, expected in run(model, inputs).items():
        assert found[name].dtype == expected.dtype
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=tolerance * np.abs(expected).max())


def types_of(program: Program) -> dict[str, tuple[str, str]]:
    """Types that the kernel of every layer reads and writes."""
    return {call.layer: (call.kernel.args[0].dtype, call.kernel.args[-1].dtype) for call in program.calls}


@pytest.mark.parametrize("target", [WITH, WITHOUT], ids=["with fp16", "without"])
def test_a_whole_model_in_fp16(target) -> None:
    model = whole_in_half()
    assert_agrees(model, lower(model, target))


def test_what_has_no_fp16_kernel_computes_in_fp32() -> None:
    types = types_of(lower(whole_in_half(), WITH))
    assert types["second"] == ("float16", "float16")
    assert types["soft"] == ("float32", "float32")


def test_a_core_without_fp16_computes_nothing_in_it() -> None:
    types = types_of(lower(whole_in_half(), WITHOUT))
    assert {kind for pair in types.values() for kind in pair} == {"float32"}


def test_neighbouring_layers_in_fp16_keep_it_between_them() -> None:
    model = with_widths(first=FP16, second=FP16)
    program = lower(model, WITH)
    assert_agrees(model, program)
    assert types_of(program)["first"] == types_of(program)["second"] == ("float16", "float16")
    assert [node.op_type for node in model.graph].count("Cast") == 2


def test_a_layer_in_fp16_writes_fp32_from_its_registers() -> None:
    model = with_widths(second=FP16)
    program = lower(model, WITH)
    assert_agrees(model, program)
    assert types_of(program)["second"] == ("float16", "float32")


def test_reports_name_the_type() -> None:
    labels = {call.layer: call.kernel.label for call in lower(with_widths(second=FP16), WITH).calls}
    assert labels["second"] == "fp16-winograd-2x2"
    assert not labels["first"].startswith("fp16")


def test_volumes_and_rare_functions_compute_in_fp32() -> None:
    model = parsed("""
    g (float[1,3,2,3,4] x) => (float[1,2,2,3,4] y) <float[2,3,1,1,1] w> {
       a = Conv(x, w)
       b = Softplus(a)
       c = Sigmoid(b)
       y = Tanh(c)
    }
    """)
    CastFp16().apply(model)
    program = lower(model, WITH)
    assert_agrees(model, program)
    assert not any(call.kernel.label.startswith("fp16") for call in program.calls if call.op in {"Conv", "Softplus"})


def test_fp16_beside_int8() -> None:
    model = with_widths(first=FP16, second=INT8, last=FP16)
    assert_agrees(model, lower(model, WITH), 2e-2)


def test_operators_that_move_numbers_keep_fp16() -> None:
    model = parsed("""
    g (float[1,6,8,8] x) => (float[1,5,4,4] y) <float[12,6,3,3] w1, float[5,12,3,3] w2, int64[2] parts = {5, 7}> {
       a = Conv<pads = [1, 1, 1, 1]>(x, w1)
       b, c = Split<axis = 1>(a, parts)
       d = HardSwish(c)
       e = Concat<axis = 1>(d, b)
       f = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(e)
       y = Conv<pads = [1, 1, 1, 1]>(f, w2)
    }
    """)
    CastFp16().apply(model)
    program = lower(model, WITH)
    assert_agrees(model, program)
    assert all(pair[0] == "float16" for layer, pair in types_of(program).items() if not layer.startswith("Cast"))
