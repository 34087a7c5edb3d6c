"""Operators that ONNX defines by others are lowered by way of their definition, whatever they leave out."""

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from galen.backends.execution import run_on_core
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir import GalenError
from galen.ir.execute import random_inputs
from galen.ir.io import from_proto

HEAD = '<ir_version: 10, opset_import: ["" : 23]> net '
PAST = "float[2,3,7,8] before_k, float[2,3,7,8] before_v"
ATTENTION = {
    "plain": "(float[2,3,4,8] q, float[2,3,6,8] k, float[2,3,6,8] v) => (float[] y) { y = Attention(q, k, v) }",
    "without mask, with past": f"""(float[2,3,4,8] q, float[2,3,6,8] k, float[2,3,6,8] v, {PAST})
        => (float[] y, float[] after_k, float[] after_v) {{
        y, after_k, after_v = Attention<is_causal=1>(q, k, v, "", before_k, before_v) }}""",
    "with scores, without present": """(float[2,3,4,8] q, float[2,3,6,8] k, float[2,3,6,8] v)
        => (float[] y, float[] scores) { y, "", "", scores = Attention(q, k, v) }""",
}


@pytest.mark.parametrize("form", ATTENTION)
def test_attention_equals_its_definition(form: str) -> None:
    proto = onnx.parser.parse_model(HEAD + ATTENTION[form])
    for output in proto.graph.output:
        output.type.tensor_type.ClearField("shape")
    model = from_proto(proto)
    inputs = random_inputs(model, np.random.default_rng(0))
    expected = ReferenceEvaluator(proto).run(None, inputs)
    found = run_on_core(lower(model, find("cortex-a72")), inputs)
    for result, right in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(result, right, rtol=1e-4, atol=1e-5)


def test_a_type_that_no_core_has_is_refused_by_name() -> None:
    text = "(bfloat16[2,3] x, bfloat16[2,3] z) => (bfloat16[2,3] y) { y = Add(x, z) }"
    with pytest.raises(GalenError, match="value x: type bfloat16 cannot be lowered"):
        lower(from_proto(onnx.parser.parse_model(HEAD + text)), find("cortex-a72"))
