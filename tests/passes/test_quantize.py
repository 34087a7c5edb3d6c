"""`quantize` writes pairs that onnxruntime fuses, ranges come from data, and fx trains the integers behind them."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from galen.backends.accuracy import Accuracy
from galen.backends.integer import run as run_integers
from galen.ir import GalenError, Model, UsageError
from galen.ir.batch import BatchedModel
from galen.ir.dataset import Dataset, open_dataset
from galen.ir.edit import const_value
from galen.ir.execute import run
from galen.ir.fx import to_fx, update_weights
from galen.ir.io import from_proto, load
from galen.passes.calibration import SAMPLES, calibrate
from galen.passes.policy import FP32, Bits, Policy
from galen.passes.quantize import Quantize
from galen.passes.simplify import Simplify

RESIDUAL = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4,8,8] x) => (float[N,3] y)
{
    [first] a = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
    ar = Relu(a)
    [second] b = Conv<pads = [1, 1, 1, 1]>(ar, w2, b2)
    s = Add(b, ar)
    sr = Relu(s)
    m = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(sr)
    p = GlobalAveragePool(m)
    f = Flatten(p)
    [head] y = Gemm<transB = 1>(f, w3, b3)
}
"""
TOKENS = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,5,6] x) => (float[N,5,3] y)
{
    [up] u = MatMul(x, w1)
    v = Add(b1, u)
    h = HardSwish(v)
    [down] d = MatMul(h, w2)
    y = Softmax(d)
}
"""


def parse(text: str, **weights: tuple[int, ...]) -> Model:
    """Parse ONNX text and give it normally distributed initializers of these shapes."""
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(text)
    for name, shape in weights.items():
        array = rng.standard_normal(shape).astype(np.float32) / np.sqrt(max(np.prod(shape[1:]), 4))
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), name))
    return from_proto(proto)


def residual() -> Model:
    return parse(RESIDUAL, w1=(8, 4, 3, 3), b1=(8,), w2=(8, 8, 3, 3), b2=(8,), w3=(3, 8), b3=(3,))


def tokens() -> Model:
    return parse(TOKENS, w1=(6, 8), b1=(8,), w2=(8, 3))


def noise(*shape: int, count: int = 64) -> Dataset:
    x = np.random.default_rng(1).standard_normal((count, *shape)).astype(np.float32)
    return Dataset(lambda indices: {"x": x[indices]}, None, count)


IMAGES, ROWS = noise(4, 8, 8), noise(5, 6)


def quantized(model: Model, data: Dataset = IMAGES, **options: object) -> Model:
    Quantize(train_data=data, **options).apply(model)  # type: ignore[arg-type]
    return model


def outputs(model: Model, data: Dataset) -> np.ndarray:
    (result,) = BatchedModel(model)(next(data.batches(len(data)))).values()
    return result


def operators(model: Model, *names: str) -> list[str]:
    return [node.op_type for node in model.graph if node.op_type in names]


def fused(model: Model, tmp_path: Path) -> list[str]:
    """Return the operators that are left after onnxruntime's optimisation."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    from galen.ir.io import save

    save(model, tmp_path / "model.onnx")
    onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "entropy", "mse"])
def test_eight_bits_change_the_outputs_little(calibration: str) -> None:
    expected = outputs(residual(), IMAGES)
    actual = outputs(quantized(residual(), calibration=calibration), IMAGES)
    error = np.abs(actual - expected)
    assert 0 < np.median(error) < 0.03 * np.abs(expected).max()


def test_onnxruntime_fuses_everything_between_input_and_output(tmp_path: Path) -> None:
    left = set(fused(quantized(residual()), tmp_path))
    assert {"QLinearConv", "QLinearAdd", "QGemm", "QLinearGlobalAveragePool"} <= left
    assert not left & {"Conv", "Add", "Relu", "Gemm", "GlobalAveragePool"}


def test_a_product_and_the_addition_of_a_vector_are_one_layer() -> None:
    model = quantized(tokens(), ROWS)
    assert operators(model, "QuantizeLinear") == ["QuantizeLinear"] * 4, "input, sum, table, product; Softmax is float"
    bias = next(node for node in model.graph if node.op_type == "Add").inputs[0]
    assert bias is not None
    assert const_value(bias.producer().inputs[0]).dtype == np.int32  # type: ignore[union-attr]
    np.testing.assert_allclose(outputs(model, ROWS), outputs(tokens(), ROWS), atol=0.03)


def test_movement_shares_scale_and_zero_point() -> None:
    values = {str(v.name): v for node in quantized(residual()).graph for v in node.outputs}
    pooled, source = (values[name].producer() for name in ("m_q", "sr_q"))
    assert pooled is not None
    assert source is not None
    assert [const_value(v).item() for v in pooled.inputs[1:]] == [const_value(v).item() for v in source.inputs[1:]]  # type: ignore[union-attr]


def test_zero_is_exact_and_relu_starts_at_the_lowest_integer() -> None:
    constants = {name: const_value(value) for name, value in quantized(residual()).graph.initializers.items()}
    assert constants["ar_zero"] == 0
    assert 0 < constants["x_zero"] < 255
    assert constants["x_zero"].dtype == np.uint8


def test_weights_are_symmetric_per_channel_and_reach_the_end_of_their_range() -> None:
    graph = quantized(residual()).graph
    weight, scale = (const_value(graph.initializers[name]) for name in ("w2_q", "w2_scale"))
    assert weight.dtype == np.int8
    assert scale.shape == (8,)
    assert np.abs(weight).reshape(8, -1).max(axis=1).tolist() == [127] * 8
    assert const_value(quantized(residual(), per_channel=False).graph.initializers["w2_scale"]).shape == ()


@pytest.mark.parametrize("bits", range(1, 9))
def test_every_width_stays_within_its_integers(bits: int) -> None:
    model = quantized(residual(), weight_bits=bits, activation_bits=bits)
    weight = const_value(model.graph.initializers["w2_q"])
    assert np.abs(weight).max() <= max(2 ** (bits - 1) - 1, 1)
    assert bits > 1 or set(np.unique(weight)) == {-1, 1}
    clips = [const_value(node.inputs[2]).item() for node in model.graph if node.op_type == "Clip"]  # type: ignore[union-attr]
    assert clips == [2**bits - 1] * len(clips)
    assert bool(clips) == (bits < 8)
    assert np.isfinite(outputs(model, IMAGES)).all()


def test_more_bits_are_closer_to_the_original() -> None:
    expected = outputs(residual(), IMAGES)
    errors = [
        np.abs(outputs(quantized(residual(), weight_bits=b, activation_bits=b), IMAGES) - expected).mean()
        for b in (2, 4, 6, 8)
    ]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_onnxruntime_and_the_integer_reference_agree_to_the_bit(bits: int) -> None:
    model = quantized(residual(), weight_bits=bits, activation_bits=bits)
    inputs = next(IMAGES.batches(64)).inputs
    np.testing.assert_array_equal(outputs(model, IMAGES), next(iter(run_integers(model, inputs).values())))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_fake_quantization_computes_what_onnxruntime_computes(bits: int) -> None:
    model = quantized(residual(), weight_bits=bits, activation_bits=bits)
    with torch.no_grad():
        fake = to_fx(model)(torch.from_numpy(next(IMAGES.batches(64)).inputs["x"])).numpy()
    expected = outputs(model, IMAGES)
    step = float(const_value(model.graph.initializers["y_scale"]))
    assert np.mean(np.abs(fake - expected) > 0.5 * step) < 0.02
    assert np.abs(fake - expected).max() < 2.5 * step


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_every_quantized_weight_changes_in_one_training_step(bits: int) -> None:
    model = quantized(residual(), weight_bits=bits, activation_bits=8)
    before = {name: const_value(model.graph.initializers[name]).copy() for name in ("w1_q", "w2_q", "w3_q", "b2_q")}
    module = to_fx(model)
    module(torch.from_numpy(next(IMAGES.batches(64)).inputs["x"])).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        parameter.data -= (0.05 if bits == 8 else 2.0) * parameter.grad / parameter.grad.abs().max()
    update_weights(model, module)
    for name, old in before.items():
        assert not np.array_equal(old, const_value(model.graph.initializers[name])), name


def test_a_policy_gives_every_layer_its_widths_and_the_rest_stays_float() -> None:
    policy = Policy(layers={"first": Bits(4, 8), "second": Bits(8, 4), "head": FP32})
    model = quantized(residual(), policy=policy)
    assert np.abs(const_value(model.graph.initializers["w1_q"])).max() == 7
    assert "w3" in model.graph.initializers
    names = {str(node.outputs[0].name) for node in model.graph}
    assert {"ar_dq", "ar_dq4", "ar_c4"} <= names, "the sum reads 8 bits, the layer 4 of the same activation"
    assert "ar_c" not in names
    assert np.isfinite(outputs(model, IMAGES)).all()


def test_weights_alone_can_be_integers() -> None:
    model = quantized(residual(), policy=Policy(layers={"head": Bits(8, 32)}))
    assert operators(model, "QuantizeLinear") == []
    np.testing.assert_allclose(outputs(model, IMAGES), outputs(residual(), IMAGES), atol=0.03)


def test_layers_are_excluded_by_pattern() -> None:
    graph = quantized(residual(), exclude=("sec*", "head")).graph
    assert "w1_q" in graph.initializers
    assert {"w2", "w3"} <= set(graph.initializers)


def test_interface_and_origin_are_kept() -> None:
    from galen.ir.digest import digest

    original, model = residual(), quantized(residual())
    assert model.graph.outputs[0].name == "y"
    assert run(model, {"x": np.zeros((1, 4, 8, 8), np.float32)})["y"].dtype == np.float32
    assert model.metadata_props["galen.origin"] == digest(original)


def test_a_policy_for_another_model_is_refused() -> None:
    with pytest.raises(GalenError, match="policy"):
        quantized(residual(), policy=Policy(layers={"first": Bits(8, 8)}, digest="0" * 32))
    with pytest.raises(GalenError, match="no layer 'missing'"):
        quantized(residual(), policy=Policy(layers={"missing": Bits(8, 8)}))


def test_what_cannot_be_quantized_says_why() -> None:
    with pytest.raises(GalenError, match="needs data to calibrate"):
        Quantize().apply(residual())
    with pytest.raises(GalenError, match="quantized already"):
        quantized(quantized(residual()))
    with pytest.raises(UsageError, match="9 is not a width"):
        Quantize(weight_bits=9)
    broken = residual()
    from galen.ir.edit import set_initializer

    set_initializer(broken.graph.initializers["b1"], np.full(8, np.inf, np.float32))
    with pytest.raises(GalenError, match="activation ar: is infinite"):
        quantized(broken)


def test_random_calibration_needs_no_data_and_is_repeatable() -> None:
    first, second = residual(), residual()
    for model in (first, second):
        Quantize(calibration="random", seed=3).apply(model)
    np.testing.assert_array_equal(outputs(first, IMAGES), outputs(second, IMAGES))


def test_calibration_reads_256_training_samples_and_never_others() -> None:
    seen = []

    def read(indices: np.ndarray) -> dict[str, np.ndarray]:
        seen.extend(indices.tolist())
        return {"x": np.random.default_rng(0).standard_normal((len(indices), 4, 8, 8)).astype(np.float32)}

    quantized(residual(), Dataset(read, None, 1000))
    assert sorted(set(seen)) == list(range(SAMPLES))


def test_a_few_outliers_widen_minmax_but_not_the_others() -> None:
    x = np.random.default_rng(0).standard_normal((64, 4, 8, 8)).astype(np.float32)
    x[0, 0, 0, 0] = 200
    data = Dataset(lambda indices: {"x": x[indices]}, None, 64)
    highs = {m: calibrate(residual(), {"x": 8}, data, m)["x"].high for m in ("minmax", "percentile", "mse", "entropy")}
    assert highs["minmax"] == 200
    assert highs["percentile"] < 50
    assert calibrate(residual(), {"x": 4}, data, "mse")["x"].high < 100


def test_resnet20_loses_at_most_half_a_point_in_int8(models_dir: Path, datasets: Path) -> None:
    model = load(models_dir / "resnet20_cifar10.onnx")
    data = open_dataset(str(datasets / "cifar10_val5k.npz"), model)
    accuracy = Accuracy(data)
    assert round(accuracy(model).accuracy * 5000) == 4586
    Simplify().apply(model)
    Quantize(train_data=open_dataset(str(datasets / "cifar10_train.npz"), model)).apply(model)
    assert operators(model, "QuantizeLinear").count("QuantizeLinear") >= 30
    assert accuracy(model).accuracy >= 0.9172 - 0.005


def test_random_calibration_takes_the_given_shapes() -> None:
    model = from_proto(
        onnx.parser.parse_model(
            """<ir_version: 8, opset_import: ["" : 17]> g (float[N,T,2] x) => (float[N,T,2] y)
            <float[2,2] w = {1, 2, 3, 4}> { [fc] y = MatMul(x, w) }"""
        )
    )
    each = Quantize(calibration="random")
    with pytest.raises(GalenError, match="is free"):
        each.apply(model)
    assert each.bind(shapes={"x": (1, 3, 2)}).apply(model)
