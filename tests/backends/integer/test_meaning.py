"""What the numpy reference says is what onnxruntime computes when it fuses, and what lowered networks compute."""

import numpy as np
import onnx
import pytest

from galen.backends.execution import run_on_core
from galen.backends.integer import run
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir.dataset import open_dataset
from galen.ir.io import load
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.quantize import Quantize
from galen.passes.simplify import Simplify

HEAD = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N, 6, 8, 8] x) => (float[{out}] y)
<float s = {{0.031}}, uint8 z = {{120}}, float t = {{{t}}}, uint8 u = {{{u}}}, float v = {{0.043}}, uint8 a = {{90}},
 int8[8, 6, 3, 3] w, float[8] ws, int8[8] wz, int32[8] b, float[8] bs, uint8 lo = {{0}}, uint8 hi = {{{hi}}}>
{{
  xq = QuantizeLinear(x, s, z)
  xd = DequantizeLinear(xq, s, z)
  wd = DequantizeLinear<axis = 0>(w, ws, wz)
  bd = DequantizeLinear<axis = 0>(b, bs)
  c = Conv<pads = [1, 1, 1, 1]>(xd, wd, bd)
  cq = QuantizeLinear(c, t, u)
  cn = Clip(cq, lo, hi)
  cd = DequantizeLinear(cn, t, u)
  {body}
  oq = QuantizeLinear(o, v, a)
  y = DequantizeLinear(oq, v, a)
}}"""

BODIES = {
    "convolution and relu": ("N, 8, 8, 8", "o = Relu(cd)"),
    "sum": ("N, 8, 8, 8", "r = Relu(cd) rq = QuantizeLinear(r, v, a) rd = DequantizeLinear(rq, v, a) o = Add(cd, rd)"),
    "excitation": (
        "N, 8, 8, 8",
        "r = GlobalAveragePool(cd) rq = QuantizeLinear(r, s, u) rd = DequantizeLinear(rq, s, u) o = Mul(cd, rd)",
    ),
    "product with a function of the same": (
        "N, 8, 8, 8",
        "r = Sigmoid(cd) rq = QuantizeLinear(r, s, u) rd = DequantizeLinear(rq, s, u) o = Mul(cd, rd)",
    ),
    "mean of the image": ("N, 8, 1, 1", "o = GlobalAveragePool(cd)"),
    "mean of windows": ("N, 8, 4, 4", "o = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(cd)"),
    "largest": ("N, 8, 4, 4", "o = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(cd)"),
    "function": ("N, 8, 8, 8", "o = LeakyRelu<alpha = 0.1>(cd)"),
}


def network(name: str, high: int, rng: np.random.Generator) -> onnx.ModelProto:
    out, body = BODIES[name]
    t, u = (0.043, 90) if high == 255 else (0.7, high // 2)
    model = onnx.parser.parse_model(HEAD.format(out=out, body=body, t=t, u=u, hi=high))
    weight_scale = rng.uniform(0.002, 0.01, 8).astype(np.float32)
    tensors = {
        "w": rng.integers(-127, 128, (8, 6, 3, 3)).astype(np.int8),
        "ws": weight_scale,
        "wz": np.zeros(8, np.int8),
        "b": rng.integers(-900, 900, 8).astype(np.int32),
        "bs": np.float32(0.031) * weight_scale,
    }
    kept = [t for t in model.graph.initializer if t.name not in tensors]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept + [onnx.numpy_helper.from_array(a, n) for n, a in tensors.items()])
    inputs = [i for i in model.graph.input if i.name == "x"]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return model


def fused(model: bytes, feeds: dict[str, np.ndarray]) -> np.ndarray:
    """Run in onnxruntime, with integers wherever it has them."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


@pytest.mark.parametrize("high", [255, 15, 1])
@pytest.mark.parametrize("name", BODIES)
def test_reference_is_fused_onnxruntime(name, high):
    rng = np.random.default_rng(high)
    model = network(name, high, rng)
    feeds = {"x": rng.normal(0, 2, (32, 6, 8, 8)).astype(np.float32)}
    found = run(load(model.SerializeToString()), feeds)["y"]
    np.testing.assert_array_equal(found, fused(model.SerializeToString(), feeds))


@pytest.mark.parametrize("target", ["cortex-a72", "neoverse-n1"])
@pytest.mark.parametrize("high", [255, 3])
@pytest.mark.parametrize("name", BODIES)
def test_lowered_network_is_the_reference(name, high, target):
    rng = np.random.default_rng(high)
    model = load(network(name, high, rng).SerializeToString())
    feeds = {"x": rng.normal(0, 2, (1, 6, 8, 8)).astype(np.float32)}
    found = run_on_core(lower(model, find(target)), feeds)["y"]
    np.testing.assert_array_equal(found, run(model, feeds)["y"])


def quantized_resnet20(models_dir, datasets, weight_bits: int, activation_bits: int):
    model = load(models_dir / "resnet20_cifar10.onnx")
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    data = open_dataset(str(datasets / "cifar10_val5k.npz"), model)
    Quantize(weight_bits=weight_bits, activation_bits=activation_bits).bind(train_data=data.take(64)).apply(model)
    return model, dict(next(iter(data.batches(256))).inputs)


@pytest.mark.parametrize("bits", [8, 4, 2, 1])
def test_resnet20_is_fused_onnxruntime_on_256_images(models_dir, datasets, tmp_path, bits):
    from galen.ir.io import save

    model, feeds = quantized_resnet20(models_dir, datasets, bits, bits)
    save(model, tmp_path / "model.onnx")
    (name,) = feeds
    images = range(256 if bits == 8 else 32)
    expected = np.concatenate([fused(str(tmp_path / "model.onnx"), {name: feeds[name][i : i + 1]}) for i in images])
    (found,) = run(model, {name: feeds[name][: len(expected)]}).values()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("target", "bits"), [("cortex-a72", 8), ("neoverse-n1", 8), ("cortex-a72", 4), ("cortex-a72", 1)]
)
def test_compiled_resnet20_is_the_reference(models_dir, datasets, target, bits):
    model, feeds = quantized_resnet20(models_dir, datasets, bits, bits)
    one = {name: array[:1] for name, array in feeds.items()}
    found, expected = run_on_core(lower(model, find(target)), one), run(model, one)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def test_foreign_quantized_network_is_fused_onnxruntime(models_dir):
    path = models_dir / "mlperf_ic_resnet8_int8_qdq.onnx"
    images = np.random.default_rng(0).integers(-128, 128, (16, 32, 32, 3)).astype(np.int8)
    (found,) = run(load(path), {"input_1_int8": images}).values()
    expected = [fused(str(path), {"input_1_int8": image[None]})[0] for image in images]
    np.testing.assert_array_equal(found, np.stack(expected))
