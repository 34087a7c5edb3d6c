"""Accuracy is weighted by sample, exact, and stops when nothing can be won any more."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from galen.backends.accuracy import Accuracy
from galen.ir import GalenError, Model
from galen.ir.batch import BatchedModel
from galen.ir.dataset import Dataset
from galen.ir.io import from_proto


def parse(text: str) -> Model:
    return from_proto(onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> {text}'))


IDENTITY = "g (float[N,4] x) => (float[N,4] y) { y = Identity(x) }"
ALONE = "g (float[1,4] x) => (float[1,4] y) <int64[2] s = {1, 4}> { y = Reshape(x, s) }"
NEGATED = "g (float[N,4] x) => (float[N,4] y) { y = Neg(x) }"
MIXES = "g (float[1,4] x) => (float[1,4] y) { m = ReduceSum<keepdims = 1>(x) y = Add(x, m) }"


def data(right: int, count: int = 250) -> Dataset:
    """Return samples of which the first `right` are labelled by their largest element, and the others wrongly."""
    x = np.random.default_rng(0).standard_normal((count, 4)).astype(np.float32)
    labels = x.argmax(axis=1)
    labels[right:] = (labels[right:] + 1) % 4
    return Dataset(lambda i: {"x": x[i]}, labels, count)


@pytest.mark.parametrize("model", [IDENTITY, ALONE])
def test_every_sample_weighs_the_same_whatever_the_batches(model: str) -> None:
    score = Accuracy(data(203))(parse(model))
    assert (score.accuracy, score.samples, score.metric, score.complete) == (203 / 250, 250, "top-1", True)


def test_a_candidate_that_cannot_reach_the_bar_stops_early() -> None:
    accuracy = Accuracy(data(50, 1000))
    score = accuracy(parse(IDENTITY), bar=0.9)
    assert not score.complete
    assert score.samples == 200
    assert accuracy(parse(IDENTITY), bar=0.05).complete


def test_without_labels_agreement_with_the_reference_counts() -> None:
    unlabelled = Dataset(data(0).read, None, 250)
    accuracy = Accuracy(unlabelled, reference=parse(IDENTITY))
    assert accuracy.metric == "agreement"
    assert accuracy(parse(IDENTITY)).accuracy == 1
    assert accuracy(parse(NEGATED)).accuracy == 0
    with pytest.raises(GalenError, match="no labels"):
        Accuracy(unlabelled)


def test_agreement_of_signals_is_the_share_of_energy_that_is_the_same() -> None:
    text = "g (float[N,1,8] x) => (float[N,1,8] y) <float s = {0.9}> { y = Mul(x, s) }"
    x = np.random.default_rng(0).standard_normal((20, 1, 8)).astype(np.float32)
    samples = Dataset(lambda i: {"x": x[i]}, None, 20)
    reference = parse("g (float[N,1,8] x) => (float[N,1,8] y) { y = Identity(x) }")
    assert Accuracy(samples, reference=reference)(parse(text)).accuracy == pytest.approx(0.99)


def test_a_metric_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_metric.py").write_text(
        "def largest(outputs, inputs, labels):\n    return outputs['y'].max(axis=1)\n"
        "def mean(outputs, inputs, labels):\n    return float((inputs['x'] == outputs['y']).mean())\n"
        "def wrong(outputs, inputs, labels):\n    return 'good'\n"
    )
    x = data(0).at(np.arange(250)).inputs["x"]
    score = Accuracy(data(0), metric="my_metric:largest")(parse(IDENTITY), bar=1e9)
    assert score.complete
    assert score.accuracy == pytest.approx(x.max(axis=1).mean())
    assert Accuracy(data(0), metric="my_metric:mean")(parse(IDENTITY)).accuracy == 1
    with pytest.raises(GalenError, match="my_metric:wrong: returned"):
        Accuracy(data(0), metric="my_metric:wrong")(parse(IDENTITY))
    for spec in ("my_metric:missing", "no_such_module:f", "nonsense"):
        with pytest.raises(GalenError, match=spec):
            Accuracy(data(0), metric=spec)


def test_labels_beyond_the_models_classes_are_refused() -> None:
    samples = Dataset(data(0).read, np.full(250, 9), 250)
    with pytest.raises(GalenError, match="label 9, but the model has 4 classes"):
        Accuracy(samples)(parse(IDENTITY))


def test_a_model_of_four_samples_that_mixes_them_is_run_on_four_at_once() -> None:
    text = MIXES.replace("float[1,", "float[4,")
    batch = data(0, 30).at(np.arange(30))
    x = np.concatenate([batch.inputs["x"], np.repeat(batch.inputs["x"][-1:], 2, axis=0)]).reshape(8, 4, -1)
    expected = (x + x.sum(axis=(1, 2), keepdims=True)).reshape(32, -1)[:30]
    np.testing.assert_allclose(BatchedModel(parse(text))(batch)["y"], expected, rtol=1e-4)


def test_a_model_that_mixes_its_samples_is_run_on_each_alone() -> None:
    batch = data(0, 30).at(np.arange(30))
    expected = batch.inputs["x"] + batch.inputs["x"].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(BatchedModel(parse(MIXES))(batch)["y"], expected, rtol=1e-5)
