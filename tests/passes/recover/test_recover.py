"""A cut network gets its statistics back, then its outputs, then its accuracy; nothing else of it changes."""

import numpy as np
import onnx
import pytest
import torch

from galen.backends.accuracy import Accuracy
from galen.ir import GalenError, Model
from galen.ir.batch import BatchedModel
from galen.ir.coupling import Cut, apply_cut
from galen.ir.dataset import Dataset
from galen.ir.edit import const_value
from galen.ir.fx import to_fx
from galen.ir.fx.normalise import insert_batchnorm, remove_batchnorm
from galen.ir.io import from_proto
from galen.passes.prune import Prune
from galen.passes.quantize import Quantize
from galen.passes.recover import Progress, Recipe, Reconstruction, Statistics, distill, finetune
from galen.passes.recover.augmentation import crop_and_flip

TEXT = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N,3,8,8] x) => (float[N,4] y)
{
    [first] a = Conv<pads = [1, 1, 1, 1]>(x, w1, b1)
    ar = Relu(a)
    [depth] d = Conv<pads = [1, 1, 1, 1], group = 12>(ar, w2, b2)
    dr = Relu(d)
    [point] p = Conv<strides = [2, 2]>(dr, w3, b3)
    pr = Relu(p)
    m = GlobalAveragePool(pr)
    f = Flatten(m)
    [head] y = Gemm<transB = 1>(f, w4, b4)
}
"""
SHAPES = {"w1": (12, 3, 3, 3), "w2": (12, 1, 3, 3), "w3": (16, 12, 1, 1), "w4": (4, 16)}


def network() -> Model:
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(TEXT)
    for name, shape in SHAPES.items():
        weight = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        for array, key in ((weight, name), (rng.standard_normal(shape[0]) * 0.1, name.replace("w", "b"))):
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array.astype(np.float32), key))
    return from_proto(proto)


def images(count: int = 512) -> Dataset:
    """Return smooth random images, labelled by the network itself."""
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((count, 3, 1, 1)) + 0.5 * rng.standard_normal((count, 3, 8, 8))).astype(np.float32)
    labels = outputs(network(), Dataset(lambda i: {"x": x[i]}, None, count)).argmax(axis=1)
    return Dataset(lambda i: {"x": x[i]}, labels, count)


def outputs(model: Model, data: Dataset, *names: str) -> np.ndarray:
    return next(iter(BatchedModel(model, names or None)(next(data.batches(len(data)))).values()))


def pruned(sparsity: float = 0.5) -> tuple[Model, Cut]:
    model = network()
    cut = Prune(sparsity=sparsity).cut(model)
    apply_cut(model, cut)
    return model, cut


def test_matching_restores_mean_and_deviation_of_every_channel() -> None:
    data, (model, cut) = images(256), pruned()
    Statistics(network(), data).match(model, cut)
    for name in ("a", "d", "p"):
        kept = cut.kept(name, 1)
        expected, actual = outputs(network(), data, name)[:, kept], outputs(model, data, name)
        np.testing.assert_allclose(actual.mean((0, 2, 3)), expected.mean((0, 2, 3)), atol=1e-4)
        np.testing.assert_allclose(actual.std((0, 2, 3)), expected.std((0, 2, 3)), rtol=1e-3)


@pytest.mark.parametrize("repair", [Statistics, Reconstruction])
def test_an_uncut_network_is_left_as_it_is(repair: type[Statistics] | type[Reconstruction]) -> None:
    data, model = images(256), network()
    made = repair(network(), data)
    made.match(model, Cut()) if isinstance(made, Statistics) else made.fit(model, Cut())
    np.testing.assert_allclose(outputs(model, data), outputs(network(), data), atol=1e-4)


def test_each_repair_is_closer_to_the_original_than_the_one_before() -> None:
    data, expected = images(256), outputs(network(), images(256))
    (cut_only, cut), (matched, _), (fitted, _) = pruned(), pruned(), pruned()
    Statistics(network(), data).match(matched, cut)
    Reconstruction(network(), data).fit(fitted, cut)
    errors = [float(np.square(outputs(model, data) - expected).mean()) for model in (cut_only, matched, fitted)]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.5 * errors[1]


def test_batchnorm_statistics_are_measured_anew() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]> g (float[N,3,8,8] x) => (float[N,4,8,8] y)
    <float[4] s = {1, 2, 3, 4}, float[4] b = {0, 1, 2, 3}, float[4] mean = {9, 9, 9, 9}, float[4] var = {7, 7, 7, 7}>
    { a = Conv(x, w) y = BatchNormalization(a, s, b, mean, var) }"""
    proto = onnx.parser.parse_model(text)
    weight = np.random.default_rng(0).standard_normal((4, 3, 1, 1)).astype(np.float32)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, "w"))
    model, data = from_proto(proto), images(256)
    Statistics(model, data).match(model, Cut())
    np.testing.assert_allclose(outputs(model, data).mean((0, 2, 3)), [0, 1, 2, 3], atol=1e-3)
    np.testing.assert_allclose(outputs(model, data).std((0, 2, 3)), [1, 2, 3, 4], rtol=1e-3)


def test_batchnorm_that_is_put_in_and_taken_out_changes_nothing() -> None:
    module, x = to_fx(network()).eval(), torch.from_numpy(images(64).at(np.arange(64)).inputs["x"])
    with torch.no_grad():
        expected = module(x)
        inserted = insert_batchnorm(module, (x,))
        assert len(inserted) == 3
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)
        remove_batchnorm(module, inserted)
        torch.testing.assert_close(module(x), expected, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in module.modules())


def test_distillation_recovers_agreement_and_repeats_exactly() -> None:
    data, (first, _), (second, _) = images(), pruned(), pruned()
    accuracy = Accuracy(data)
    before = accuracy(first).accuracy
    for model in (first, second):
        distill(model, network(), data, 40, np.random.default_rng(5), recipe=Recipe(batch=32))
    assert accuracy(first).accuracy > before + 0.05
    for name in first.graph.initializers:
        ours, theirs = (const_value(model.graph.initializers[name]) for model in (first, second))
        np.testing.assert_array_equal(ours, theirs)


def test_integer_weights_are_trained_too() -> None:
    data, model = images(), network()
    Quantize(weight_bits=3, activation_bits=4, train_data=data).apply(model)
    accuracy, before = Accuracy(data), const_value(model.graph.initializers["w3_q"]).copy()
    start = accuracy(model).accuracy
    distill(model, network(), data, 60, np.random.default_rng(0))
    assert accuracy(model).accuracy > start
    after = const_value(model.graph.initializers["w3_q"])
    assert not np.array_equal(before, after)
    assert after.dtype == np.int8
    assert np.abs(after).max() <= 3


def test_fine_tuning_passes_over_all_data_and_reports_every_step() -> None:
    data, (model, _), seen, steps = images(128), pruned(), [], list[Progress]()

    def read(indices: np.ndarray) -> dict[str, np.ndarray]:
        seen.extend(indices.tolist())
        return dict(data.read(indices))

    watched = Dataset(read, data.labels, 128)
    recipe = Recipe(batch=32)
    finetune(model, watched, 2, np.random.default_rng(0), augment=True, recipe=recipe, report=steps.append)
    assert [p.step for p in steps] == list(range(1, 9))
    assert sorted(seen) == sorted([*range(128)] * 2)
    assert seen[:128] != seen[128:]


def test_training_needs_something_to_aim_at() -> None:
    data = Dataset(images(64).read, None, 64)
    with pytest.raises(GalenError, match="labels or the original"):
        finetune(network(), data, 1, np.random.default_rng(0))


def test_a_run_that_diverges_says_so_and_leaves_the_model_alone() -> None:
    model, data = network(), images(128)
    before = const_value(model.graph.initializers["w1"]).copy()
    recipe = Recipe(learning_rate=1e30, clip=1e30, batch=32)
    with pytest.raises(GalenError, match="not finite"):
        finetune(model, data, 5, np.random.default_rng(0), recipe=recipe)
    np.testing.assert_array_equal(const_value(model.graph.initializers["w1"]), before)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_augmentation_shifts_by_an_eighth_and_mirrors(layout: str) -> None:
    x = torch.zeros(200, 1, 16, 16)
    x[:, :, 4, 3] = 1
    batch = x if layout == "NCHW" else x.permute(0, 2, 3, 1)
    moved = crop_and_flip(batch, torch.Generator().manual_seed(0))
    assert moved.shape == batch.shape
    plane = moved if layout == "NCHW" else moved.permute(0, 3, 1, 2)
    rows, columns = plane.nonzero()[:, 2], plane.nonzero()[:, 3]
    assert set(rows.tolist()) == {2, 3, 4, 5, 6}
    assert set(columns.tolist()) == {1, 2, 3, 4, 5} | {10, 11, 12, 13, 14}
