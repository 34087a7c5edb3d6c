"""Costs in closed form, layer by layer."""

import onnx.parser
import pytest

from galen.ir import GalenError, Model
from galen.ir.costs import costs, layer_costs
from galen.ir.coupling import couple
from galen.ir.io import from_proto, load


def parsed(graph: str) -> Model:
    return from_proto(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {graph}'))


def zeros(count: int) -> str:
    return "{" + ",".join(["0"] * count) + "}"


@pytest.mark.parametrize(
    ("graph", "macs", "parameters"),
    [
        (
            f"g (float[2,4,8,8] x) => (float[2,6,6,6] y) <float[6,4,3,3] w = {zeros(216)}, float[6] b = {zeros(6)}>"
            " { y = Conv(x, w, b) }",
            2 * 6 * 6 * 6 * 4 * 9,
            222,
        ),
        (
            f"g (float[1,4,8,8] x) => (float[1,4,6,6] y) <float[4,1,3,3] w = {zeros(36)}>"
            " { y = Conv<group = 4>(x, w) }",
            4 * 36 * 9,
            36,
        ),
        (
            f"g (float[1,4,3,3] x) => (float[1,2,5,5] y) <float[4,2,3,3] w = {zeros(72)}>"
            " { y = ConvTranspose(x, w) }",
            4 * 9 * 2 * 9,
            72,
        ),
        (
            f"g (float[5,3] x) => (float[5,7] y) <float[7,3] w = {zeros(21)}> {{ y = Gemm<transB = 1>(x, w) }}",
            5 * 3 * 7,
            21,
        ),
        ("g (float[2,4,8] a, float[2,8,3] b) => (float[2,4,3] y) { y = MatMul(a, b) }", 2 * 4 * 8 * 3, 0),
        (
            f"g (float[6,1,3] x) => (float[6,1,1,5] y) <float[1,20,3] w = {zeros(60)}, float[1,20,5] r = {zeros(100)}>"
            " { y = LSTM<hidden_size = 5>(x, w, r) }",
            6 * 4 * 5 * (3 + 5),
            160,
        ),
    ],
)
def test_macs_and_parameters(graph: str, macs: int, parameters: int) -> None:
    found = costs(parsed(graph))
    assert (found.macs, found.parameters) == (macs, parameters)
    assert found.bops == macs * 32 * 32
    assert found.bytes == parameters * 4


def test_one_weight_used_twice_counts_once_but_works_twice() -> None:
    model = parsed(
        f"g (float[1,4] x) => (float[1,4] y) <float[4,4] w = {zeros(16)}> {{ h = MatMul(x, w) y = MatMul(h, w) }}"
    )
    found = costs(model)
    assert (found.parameters, found.macs, found.nodes) == (16, 32, 2)


def test_numbers_of_formulas_and_shapes_are_no_parameters() -> None:
    model = parsed(
        "g (float[1,4] x) => (float[2,2] y) <float half = {0.5}, float[4] bias = {1, 2, 3, 4}, int64[2] shape = {2, 2}>"
        " { a = Mul(x, half) b = Add(a, bias) y = Reshape(b, shape) }"
    )
    assert costs(model).parameters == 4


def test_quantized_layers_count_at_their_widths() -> None:
    model = parsed("""g (float[1,4] x) => (float[1,2] y)
    <int8[4,2] q = {7, -7, 1, 2, 3, 4, 5, 6}, float s = {0.1}, int8 z = {0}, int8 low = {-4}, int8 high = {3}> {
       a = QuantizeLinear(x, s, z)
       c = Clip(a, low, high)
       d = DequantizeLinear(c, s, z)
       w = DequantizeLinear(q, s, z)
       y = MatMul(d, w)
    }""")
    layer = layer_costs(model)[0]
    assert (layer.weight_bits, layer.activation_bits) == (4, 3)
    found = costs(model)
    assert (found.parameters, found.bytes, found.bops) == (8, 4, 8 * 4 * 3)


@pytest.mark.parametrize(
    ("shapes", "attributes"),
    [
        ("float[2,4,3,8] q, float[2,4,5,8] k, float[2,4,5,6] v) => (float[2,4,3,6] y)", ""),
        ("float[2,3,32] q, float[2,5,32] k, float[2,5,24] v) => (float[2,3,24] y)", "<q_num_heads=4, kv_num_heads=4>"),
    ],
)
def test_fused_attention_costs_what_its_products_cost(shapes: str, attributes: str) -> None:
    graph = f"g ({shapes} {{ y = Attention{attributes}(q, k, v) }}"
    model = from_proto(onnx.parser.parse_model(f'<ir_version: 11, opset_import: ["" : 23]> {graph}'))
    assert costs(model).macs == 2 * 4 * 3 * 5 * (8 + 6)


def test_a_dimension_that_matters_must_be_set() -> None:
    model = parsed(f"g (float[N,4,L] x) => (float[N,4,M] y) <float[4,4,3] w = {zeros(48)}> {{ y = Conv(x, w) }}")
    with pytest.raises(GalenError, match=r"input x: dimension 2 \(L\) is not set"):
        costs(model)
    assert costs(model, {"x": (1, 4, 10)}).macs == 4 * 8 * 4 * 3


def test_resnet20_has_the_published_costs(models_dir) -> None:
    found = costs(load(models_dir / "resnet20_cifar10.onnx"))
    assert found.macs == 40_551_040  # He et al. 2016 speak of 0.041 G
    assert found.parameters == 269_034


def test_shapes_computed_in_the_graph_are_found_by_running_it(models_dir) -> None:
    by_inference = costs(load(models_dir / "resnet20_cifar10_dyn.onnx"))
    assert by_inference.macs == costs(load(models_dir / "resnet20_cifar10.onnx")).macs


def test_what_other_domains_call_an_identity_hands_nothing_over() -> None:
    """Neither a weight of its own nor anything at all: there it may have no input."""
    model = from_proto(
        onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17, "other" : 1]>
        g (float[1,2] x) => (float[1,2] y) <float[2,2] w = {1, 2, 3, 4}, float[2,2] v, float[1,2] u> {
            v = other.Identity(w)
            u = other.Identity()
            a = MatMul(x, v)
            y = Add(a, u)
        }""")
    )
    assert costs(model).parameters == 0
    assert not couple(model).weights


def test_operands_of_a_wrong_rank_are_named() -> None:
    model = parsed("g (float[2] x, float[2,8] v) => (float[1,8] y) { [fc] y = Gemm(x, v) }")
    with pytest.raises(GalenError, match=r"node fc: the operands are none that Gemm takes"):
        costs(model)
