"""Whole networks: what is lowered equals onnxruntime, on the emulated core and through the library on the host."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from galen.backends.build import compile as build
from galen.backends.execution import run_on_core
from galen.backends.lower import lower
from galen.backends.memory import plan
from galen.backends.targets import find
from galen.ir import GalenError, Model
from galen.ir.execute import random_inputs, run
from galen.ir.io import from_proto, load

A72, HOST = find("cortex-a72"), find("host")

RESIDUAL = """
<ir_version: 8, opset_import: ["" : 17]>
residual (float[1,3,8,8] x) => (float[1,5] y)
<float[8,3,3,3] w1, float[8] b1, float[8,8,3,3] w2, float[8,3,1,1] w3, float[8,5] w4> {
    a = Conv<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x, w1, b1)
    b = Relu(a)
    c = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(b, w2)
    s = Conv<kernel_shape=[1,1], strides=[2,2]>(x, w3)
    d = Add(c, s)
    e = Relu(d)
    g = GlobalAveragePool(e)
    f = Flatten(g)
    y = Gemm(f, w4)
}
"""

ATTENTION = """
<ir_version: 8, opset_import: ["" : 17]>
attention (float[1,6,8] x) => (float[1,6,8] y)
<float[8,8] wq, float[8,8] wk, float[8,8] wv, float[8] scale, float[8] shift> {
    n = LayerNormalization(x, scale, shift)
    q = MatMul(n, wq)
    k = MatMul(n, wk)
    v = MatMul(n, wv)
    t = Transpose<perm=[0,2,1]>(k)
    s = MatMul(q, t)
    p = Softmax<axis=-1>(s)
    o = MatMul(p, v)
    y = Add(o, x)
}
"""

FALLBACK = """
<ir_version: 8, opset_import: ["" : 17]>
rare (float[2,3,4] x) => (float[2,3,1] y, float[2,3,4] z) {
    y = ReduceL2<axes=[2], keepdims=1>(x)
    z = Softplus(x)
}
"""

SEQUENCE = """
<ir_version: 8, opset_import: ["" : 17]>
sequence (float[2,3,9] x) => (float[2,5,9] y)
<float[6,3,3] w, float[5,4,2] v, int64[1] one = {1}, int64[1] five = {5}, int64[6] pads = {0,0,1,0,0,2}>
{
    a = Conv<kernel_shape=[3]>(x, w)
    b = Slice(a, one, five, one)
    c = Pad(b, pads)
    y = Conv<kernel_shape=[2]>(c, v)
}
"""

VIEWS = """
<ir_version: 8, opset_import: ["" : 17]>
views (float[2,3,4] x) => (float[2,12] y, float[3] z) <float[3] w = {1, 2, 3}> { y = Flatten(x)  z = Identity(w) }
"""

UNKNOWN = """
<ir_version: 8, opset_import: ["" : 17, "acme" : 1]>
unknown (float[2,3] x) => (float[2,3] y) {
    [strange] y = acme.Frobnicate(x)
}
"""


def model(text: str) -> Model:
    """The model of a text; weights that it declares without values are random."""
    proto = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    for value in list(proto.graph.value_info):
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        array = (rng.standard_normal(shape) * 0.4).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
    del proto.graph.value_info[:]
    return from_proto(proto)


@pytest.mark.parametrize(
    "text",
    [RESIDUAL, ATTENTION, FALLBACK, SEQUENCE, VIEWS],
    ids=["residual", "attention", "fallback", "sequence", "views"],
)
def test_a_lowered_network_equals_onnxruntime(text: str, tmp_path: Path) -> None:
    network = model(text)
    inputs = random_inputs(network, np.random.default_rng(1))
    expected = run(network, inputs)
    on_core = run_on_core(lower(network, A72), inputs)
    on_host = build(network, HOST, tmp_path / "net.so").run(inputs)
    for name, right in expected.items():
        np.testing.assert_allclose(on_core[name], right, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(on_host[name], right, rtol=1e-4, atol=1e-5)


def test_a_residual_block_is_two_convolutions_and_a_shortcut() -> None:
    program = lower(model(RESIDUAL), A72)
    assert [call.op for call in program.calls] == ["Conv", "Conv", "Conv", "Conv", "GlobalAveragePool", "Gemm"]
    assert program.calls[0].kernel.family == "layout"


@pytest.mark.parametrize("opset", [17, 11])
def test_softmax_over_what_is_contiguous_is_one_over_rows(opset: int) -> None:
    head = f'<ir_version: 8, opset_import: ["" : {opset}]>'
    (call,) = lower(model(f"{head} s (float[2,5,1] x) => (float[2,5,1] y) {{ y = Softmax<axis=1>(x) }}"), A72).calls
    assert (call.kernel.family, call.kernel.args[0].shape) == ("softmax", (2, 5))


def test_the_library_is_for_the_target(tmp_path: Path) -> None:
    path = build(model(RESIDUAL), A72, tmp_path / "net.so").path
    header = path.read_bytes()[:20]
    assert header[:4] == b"\x7fELF"
    assert int.from_bytes(header[18:20], "little") == 183, "183 is AArch64 in the ELF header"


def test_an_operator_that_nobody_knows_is_named() -> None:
    with pytest.raises(GalenError, match=r"strange.*acme\.Frobnicate"):
        lower(model(UNKNOWN), A72)


def test_buffers_that_live_together_do_not_overlap() -> None:
    program = lower(model(RESIDUAL), A72)
    layout = plan(program)
    lives: dict[int, list[int]] = {}
    for index, call in enumerate(program.calls):
        for buffer in call.args:
            lives.setdefault(program.memory(buffer), []).append(index)
    for a, start in layout.offsets.items():
        for b, other in layout.offsets.items():
            together = min(lives[a]) <= max(lives[b]) and min(lives[b]) <= max(lives[a])
            apart = start + program.buffers[a].nbytes <= other or other + program.buffers[b].nbytes <= start
            assert a == b or not together or apart


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("resnet20_cifar10_dyn", {}),
        ("mlperf_kws_dscnn", {}),
        ("mlperf_vww_mobilenetv1", {}),
        ("mnist_cntk", {}),
        ("mbv3se_cifar10", {}),
        ("mtcnn_onet", {}),
        ("espcn_subpixel", {}),
        ("cct_cifar10", {}),
        ("ppocr_cls_mbv3se", {"x": (1, 3, 48, 192)}),
        ("attacut_c", {"input": (1, 40)}),
        ("silero_vad_16k_seq", {"input": (2, 576)}),
    ],
)
def test_real_networks_equal_onnxruntime(models_dir: Path, name: str, shapes: dict[str, tuple[int, ...]]) -> None:
    network = load(models_dir / f"{name}.onnx")
    program = lower(network, A72, shapes)
    rng = np.random.default_rng(2)
    inputs = {
        name: rng.standard_normal(spec.shape).astype(spec.dtype)
        if (spec := program.buffers[buffer]).dtype == "float32"
        else rng.integers(0, 40, spec.shape).astype(spec.dtype)
        for name, buffer in program.inputs.items()
    }
    results = run_on_core(program, inputs)
    for output, right in run(network, inputs).items():
        np.testing.assert_allclose(results[output], right, rtol=1e-3, atol=1e-4 * max(1, abs(right).max()))


@pytest.mark.parametrize(
    ("body", "operator"),
    [
        ("s = Sigmoid(a)  y = Mul(a, s)", "silu"),
        ("s = HardSigmoid<alpha=0.16666667, beta=0.5>(a)  y = Mul(s, a)", "hard-swish"),
        ("d = Div(a, root) e = Erf(d) f = Add(e, one) g = Mul(a, f) y = Mul(g, half)", "gelu"),
        ("h = Mul(a, half) d = Mul(a, inverse) e = Erf(d) f = Add(one, e) y = Mul(h, f)", "gelu"),
    ],
)
def test_an_activation_of_several_nodes_fits_into_the_epilogue(body: str, operator: str) -> None:
    text = f"""
    <ir_version: 8, opset_import: ["" : 17]>
    gate (float[2,4] x) => (float[2,6] y)
    <float[4,6] w, float root = {{1.4142135}}, float inverse = {{0.70710678}}, float one = {{1}}, float half = {{0.5}}>
    {{ a = MatMul(x, w) {body} }}
    """
    network = model(text)
    program = lower(network, A72)
    (call,) = program.calls
    assert [step.name for step in call.kernel.steps] == [operator]
    inputs = random_inputs(network, np.random.default_rng(3))
    np.testing.assert_allclose(run_on_core(program, inputs)["y"], run(network, inputs)["y"], rtol=1e-5, atol=1e-6)
