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

HEAD = '<ir_version: 10, opset_import: ["" : 24]> net '
PAST = "float[2,3,7,8] before_k, float[2,3,7,8] before_v"
FORMS = {
    "plain": "(float[2,3,4,8] q, float[2,3,6,8] k, float[2,3,6,8] v) => (float[] y) { y = Attention(q, k, v) }",
    "without mask, with past": f"""(float[2,3,4,8] q, float[2,3,6,8] k, float[2,3,6,8] v, {PAST})
        => (float[] y, float[] after_k, float[] after_v) {{
        y, after_k, after_v = Attention<is_causal=1>(q, k, v, "", before_k, before_v) }}""",
    "with scores, without present": """(float[2,3,4,8] q, float[2,3,6,8] k, float[2,3,6,8] v)
        => (float[] y, float[] scores) { y, "", "", scores = Attention(q, k, v) }""",
    "with attributes at their defaults": "(float[2,3,4,4] x) => (float[] y) { y = MeanVarianceNormalization(x) }",
    "with constants at their defaults": "(float[2,9] x) => (float[] y) { y = Shrink(x) }",
    "with a factor": "(float[2,9] x) => (float[] y) { y = Swish<alpha=0.5>(x) }",
    "rotated": """(float[1,2,3,8] x, float[9,4] c, float[9,4] s) => (float[] y) <int64[1,3] at = {4, 1, 7}> {
        y = RotaryEmbedding(x, c, s, at) }""",
}


@pytest.mark.parametrize("form", FORMS)
def test_an_operator_equals_its_definition(form: str) -> None:
    proto = onnx.parser.parse_model(HEAD + FORMS[form])
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


@pytest.mark.parametrize("node", ["IsInf<detect_negative=0>(x)", 'SpaceToDepth<blocksize=2, mode="CRD">(x)'])
def test_what_the_fallback_would_compute_wrongly_is_refused(node: str) -> None:
    result = "bool" if "IsInf" in node else "float"
    text = f"(float[1,4,2,2] x) => ({result}[] y) {{ y = {node} }}"
    with pytest.raises(GalenError, match="cannot be lowered"):
        lower(from_proto(onnx.parser.parse_model(HEAD + text)), find("cortex-a72"))


def test_a_result_that_is_no_tensor_is_refused_by_name() -> None:
    text = "(float[4] x) => (seq(float[4]) y) { y = SequenceConstruct(x) }"
    with pytest.raises(GalenError, match=r"value y: Sequence\(.*\) cannot be lowered, only tensors can"):
        lower(from_proto(onnx.parser.parse_model(HEAD + text)), find("cortex-a72"))
