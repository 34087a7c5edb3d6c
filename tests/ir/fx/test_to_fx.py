"""`to_fx` computes what onnxruntime computes, on any batch, and its parameters can be trained and written back."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from galen.ir import GalenError, Model
from galen.ir.edit import const_value
from galen.ir.execute import random_inputs, run
from galen.ir.fx import to_fx, trace, update_weights
from galen.ir.io import from_proto, load

SHAPES = {
    "attacut_c": {"input": (1, 40)},
    "ppocr_cls_mbv3se": {"x": (1, 3, 48, 192)},
    "silero_vad_16k_seq": {"input": (5, 576)},
}
MIXES_SAMPLES = {"attacut_c", "silero_vad_16k_seq"}
MODELS = """
    attacut_c basic_pitch_nmp cct_cifar10 espcn_subpixel mbv3se_cifar10 mlperf_ic_resnet8 mlperf_ic_resnet8_int8_qdq
    mlperf_kws_dscnn mlperf_vww_mobilenetv1 mnist_cntk mtcnn_onet ppocr_cls_mbv3se resnet20_cifar10
    resnet20_cifar10_bn resnet20_cifar10_dyn silero_vad_16k_seq ultraface_rfb320
"""

BAKED = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[1,2,4,4] x) => (float[1,3] y)
<int64[2] flat = {1, 8}, int64[4] split = {1, 2, -1, 2},
 float[8,3] w = {1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6}, float[2,2,1,1] kernel = {1, 2, 3, 4}>
{
    c = Conv(x, kernel)
    r = Relu(c)
    p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r)
    s = Reshape(p, split)
    f = Reshape(s, flat)
    [head] y = MatMul(f, w)
}
"""


def parse(text: str) -> Model:
    """Parse ONNX text, in which a name cannot hold a dot: `kernel` stands for `conv.weight`."""
    model = from_proto(onnx.parser.parse_model(text))
    if "kernel" in model.graph.initializers:
        model.graph.initializers["kernel"].name = "conv.weight"
    return model


def compute(module: torch.fx.GraphModule, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    with torch.no_grad():
        results = module.eval()(*(torch.from_numpy(array) for array in inputs.values()))
    return [value.numpy() for value in (results if isinstance(results, tuple) else (results,))]


@pytest.mark.parametrize("name", MODELS.split())
def test_real_networks_compute_the_same(models_dir: Path, name: str) -> None:
    model = load(models_dir / f"{name}.onnx")
    inputs = random_inputs(model, np.random.default_rng(0), SHAPES.get(name))
    module = to_fx(model)
    for actual, expected in zip(compute(module, inputs), run(model, inputs).values(), strict=True):
        np.testing.assert_allclose(actual, expected, atol=1e-4 * np.abs(expected).max())
    if name not in MIXES_SAMPLES:
        pair = {key: np.concatenate([array, array // 2]) for key, array in inputs.items()}
        for batched, alone in zip(compute(module, pair), compute(module, inputs), strict=True):
            np.testing.assert_allclose(batched[: len(alone)], alone, atol=1e-4 * np.abs(alone).max())


def test_a_batch_of_one_spelt_out_in_reshapes_is_freed() -> None:
    model = parse(BAKED)
    x = np.random.default_rng(0).standard_normal((5, 2, 4, 4)).astype(np.float32)
    (together,) = compute(to_fx(model), {"x": x})
    alone = np.concatenate([run(model, {"x": x[i : i + 1]})["y"] for i in range(5)])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_parameters_keep_the_names_of_initializers() -> None:
    module = to_fx(parse(BAKED))
    assert module.meta["parameters"] == {"conv.weight": "conv.weight", "w": "w"}
    assert set(dict(module.named_parameters())) == {"conv.weight", "w"}


def test_trained_weights_return_to_the_model() -> None:
    model = parse(BAKED)
    module = to_fx(model)
    x = torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    module(x).square().mean().backward()
    torch.optim.SGD(module.parameters(), lr=0.01).step()
    before = const_value(model.graph.initializers["w"])
    update_weights(model, module)
    assert not np.array_equal(before, const_value(model.graph.initializers["w"]))
    (expected,) = compute(module, {"x": x[:1].numpy()})
    np.testing.assert_allclose(run(model, {"x": x[:1].numpy()})["y"], expected, rtol=1e-4)


def test_batchnorm_learns_statistics_in_training_mode_only() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[N,2,3,3] x) => (float[N,2,3,3] y)
    <float[2] s = {1, 2}, float[2] b = {0, 1}, float[2] mean = {0, 0}, float[2] var = {1, 1}>
    { y = BatchNormalization<momentum = 0.0>(x, s, b, mean, var) }"""
    model = parse(text)
    module = to_fx(model)
    x = torch.randn(64, 2, 3, 3, generator=torch.Generator().manual_seed(0)) + 5
    module.eval()(x)
    update_weights(model, module)
    assert const_value(model.graph.initializers["mean"]).tolist() == [0, 0]
    module.train()(x)
    update_weights(model, module)
    np.testing.assert_allclose(const_value(model.graph.initializers["mean"]), x.mean((0, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ("[odd] y = Det(x)", "node odd: operator 'Det' of ONNX has no torch form"),
        ("[pool] y = com.example.Pool(x)", "node pool: operator 'Pool' of com.example"),
        ("[lp] y = Softmax<axis = 1, odd = 3>(x)", "node lp: attribute odd=3 of Softmax"),
    ],
)
def test_what_has_no_torch_form_is_refused_by_name(node: str, message: str) -> None:
    text = (
        f'<ir_version: 8, opset_import: ["" : 17, "com.example" : 1]> g (float[2,2] x) => (float[N,M] y) {{ {node} }}'
    )
    with pytest.raises(GalenError, match=message):
        to_fx(parse(text))


def test_integers_that_the_model_returns_are_integers_but_in_training() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (int8[N,4] x) => (int8[N,4] y)
    <float s = {0.5}, int8 z = {3}>
    { f = DequantizeLinear(x, s, z) r = Relu(f) y = QuantizeLinear(r, s, z) }"""
    x = np.arange(-8, 8, dtype=np.int8).reshape(4, 4)
    module = to_fx(parse(text))
    (result,) = compute(module, {"x": x})
    (expected,) = run(parse(text), {"x": x}).values()
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == np.int8
    assert module.train()(torch.from_numpy(x)).is_floating_point()


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(torch.relu(self.conv(x)).mean((2, 3)))
        return result


@pytest.mark.parametrize("kind", ["module", "graph module", "exported program"])
def test_trace_takes_every_form_of_a_torch_model(kind: str) -> None:
    torch.manual_seed(0)
    module, x = Small(), torch.randn(3, 3, 8, 8)
    source: object = module
    if kind == "graph module":
        source = torch.fx.symbolic_trace(module)
    elif kind == "exported program":
        source = torch.export.export(module, (x,))
    model = trace(source, (x,))  # type: ignore[arg-type]
    name = str(model.graph.inputs[0].name)
    (result,) = run(model, {name: x.numpy()}).values()
    np.testing.assert_allclose(result, module(x).detach().numpy(), atol=1e-5)
    (again,) = compute(to_fx(model), {name: x.numpy()})
    np.testing.assert_allclose(again, result, atol=1e-5)
    assert module.training


def test_a_traced_batch_is_dynamic() -> None:
    model = trace(Small(), (torch.randn(2, 3, 8, 8),))
    (result,) = run(model, {str(model.graph.inputs[0].name): np.zeros((7, 3, 8, 8), np.float32)}).values()
    assert result.shape == (7, 2)


class Recurrent(torch.nn.Module):
    """A GRU, whose code looks at the batch size."""

    def __init__(self) -> None:
        super().__init__()
        self.gru, self.last = torch.nn.GRU(4, 8, batch_first=True), torch.nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.gru(x)[0][:, -1])


def test_an_example_of_one_sample_still_gives_a_dynamic_batch() -> None:
    torch.manual_seed(0)
    module = Recurrent()
    model = trace(module, (torch.randn(1, 5, 4),))
    x = torch.randn(3, 5, 4)
    (result,) = run(model, {str(model.graph.inputs[0].name): x.numpy()}).values()
    np.testing.assert_allclose(result, module(x).detach().numpy(), atol=1e-5)


def test_an_exported_program_needs_no_example() -> None:
    module, x = Small().eval(), torch.randn(2, 3, 8, 8)
    model = trace(torch.export.export(module, (x,)))
    (result,) = run(model, {str(model.graph.inputs[0].name): x.numpy()}).values()
    np.testing.assert_allclose(result, module(x).detach().numpy(), atol=1e-5)


class Undecided(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_what_torch_cannot_export_is_one_line() -> None:
    with pytest.raises(GalenError, match=r"torch cannot export the module: [^\n]+$"):
        trace(Undecided(), (torch.randn(2, 3),))
