"""What each criterion computes, on networks small enough to check by hand or by brute force."""

import itertools

import numpy as np
import pytest
from onnx_text import model, run

from galen.ir import Model
from galen.ir.coupling import couple
from galen.ir.coupling.mask import mask
from galen.ir.dataset import Dataset
from galen.ir.edit import set_initializer
from galen.passes.criteria import Evidence, comparable, score
from galen.passes.criteria.reading import elimination, gram_matrix

LINEAR = """g (float[N,4] x) => (float[N,3] y) <float[4,6] w, float[6] b, float[6,3] v, float[3] c>
{ a = Gemm (x, w, b)  r = Relu (a)  y = Gemm (r, v, c) }"""
CONV = """g (float[N,3,7,7] x) => (float[N,3] y) <float[6,3,3,3] w, float[6] b, float[4,6,3,3] v, float[4,3] h>
{ a = Conv (x, w, b)  r = Relu (a)  s = Conv <strides: ints = [2,2], pads: ints = [1,1,1,1]> (r, v)
  p = GlobalAveragePool (s)  f = Flatten (p)  y = Gemm (f, h) }"""


def evidence(net: Model, count: int = 32) -> Evidence:
    rank = len(net.graph.inputs[0].shape)
    x = np.random.default_rng(1).standard_normal((count, *([4] if rank == 2 else [3, 7, 7]))).astype(np.float32)
    return Evidence(net, couple(net), Dataset(lambda at: {"x": x[at]}, np.arange(count) % 3, count))


def scores(net: Model, criterion: str, **options: object) -> np.ndarray:
    seen = evidence(net)
    return score(seen, seen.coupling.groups[0], criterion, **options)


def test_magnitudes_of_filters() -> None:
    net = model(LINEAR, w=np.arange(24, dtype=np.float32).reshape(4, 6))
    columns = np.arange(24, dtype=np.float64).reshape(4, 6)

    assert scores(net, "l1") == pytest.approx(columns.sum(axis=0))
    assert scores(net, "l2") == pytest.approx(np.sqrt((columns**2).sum(axis=0)))


def test_geometric_median_makes_the_filter_in_the_middle_the_least_important() -> None:
    w = np.zeros((4, 6), np.float32)
    w[0] = [-3, -2, -1, 0.5, 2, 3]
    assert int(np.argmin(scores(model(LINEAR, w=w), "fpgm"))) in (2, 3)


def test_lamp_is_one_for_the_largest_filter_and_keeps_the_order_of_norms() -> None:
    net = model(LINEAR)
    lamp, norms = scores(net, "lamp"), scores(net, "l2")

    assert lamp.max() == pytest.approx(1)
    assert np.argsort(lamp).tolist() == np.argsort(norms).tolist()


def test_aggregates() -> None:
    net = model(
        """g (float[N,4] x) => (float[N,3] y) <float[4,6] w, float[6,6] u, float[6,3] v>
        { a = Gemm (x, w)  b = Gemm (a, u)  s = Add (a, b)  y = Gemm (s, v) }"""
    )
    first, second = (np.abs(net.graph.initializers[n].const_value.numpy()).sum(axis=0) for n in ("w", "u"))

    assert scores(net, "l1", aggregate="leader") == pytest.approx(first)
    assert scores(net, "l1", aggregate="max") == pytest.approx(np.maximum(first, second))
    assert scores(net, "l1", aggregate="sum") == pytest.approx(first + second)


@pytest.mark.parametrize("text", [LINEAR, CONV])
def test_taylor_is_the_squared_derivative_of_the_loss_by_the_gate(text: str) -> None:
    """Against finite differences: scale what reads a channel by 1 +- h and look at the loss."""
    net = model(text)
    seen = evidence(net)
    group, h = seen.coupling.groups[0], 1e-2
    batch = next(seen.data.batches(32))

    def loss(channel: int, gate: float) -> float:
        scaled = net.clone()
        v = scaled.graph.initializers["v"]
        array = v.const_value.numpy().astype(np.float64).copy()
        np.moveaxis(array, 0 if text is LINEAR else 1, 0)[channel] *= gate
        set_initializer(v, array.astype(np.float32))
        logits = run(scaled, dict(batch.inputs))[0].astype(np.float64)
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return float(-logs[np.arange(32), batch.labels].mean())

    slopes = [(loss(c, 1 + h) - loss(c, 1 - h)) / (2 * h) for c in range(group.size)]
    assert score(seen, group, "taylor") == pytest.approx(np.square(slopes), rel=0.05, abs=1e-6)


@pytest.mark.parametrize("text", [LINEAR, CONV])
def test_gram_matrix_gives_the_error_of_removing_any_set(text: str) -> None:
    net = model(text)
    seen = evidence(net)
    (reader,) = seen.readers(group := seen.coupling.groups[0])
    gram = gram_matrix(seen, reader)
    layer = "y" if text is LINEAR else "s"
    batch = next(seen.data.batches(32))

    def read(of: Model) -> np.ndarray:
        of.graph.outputs[0] = next(v for node in of.graph for v in node.outputs if v.name == layer)
        return run(of, dict(batch.inputs))[0].astype(np.float64)

    for removed in ([0], [1, 4], [0, 2, 3]):
        cut = seen.coupling.cut({group.name: np.setdiff1d(np.arange(6), removed)})
        changed = read(mask(net, cut)) - read(net.clone())
        energy = np.square(changed).sum() / (changed.size / changed.shape[1])
        predicted = gram[np.ix_(removed, removed)].sum()
        assert predicted == pytest.approx(energy, rel=1e-4 if text is LINEAR else 0.35)


def test_elimination_finds_the_pair_that_cancels() -> None:
    """Two channels that undo each other cost nothing together, however large: the order must see it."""
    parts = np.array([[3.0, 0], [-3.0, 0], [0, 1.0], [0, 2.0]])
    order = np.argsort(elimination(parts @ parts.T), kind="stable").tolist()

    assert order[:1] == [2]
    best = min(itertools.combinations(range(4), 2), key=lambda s: np.square(parts[list(s)].sum(axis=0)).sum())
    assert best == (0, 1)


def test_normalisation_makes_groups_comparable() -> None:
    assert comparable(np.array([1.0, 3.0]), "l1").tolist() == [0.5, 1.5]
    assert comparable(np.array([1.0, 3.0]), "taylor").tolist() == [1.0, 3.0]
    assert comparable(np.array([1.0, 4.0]), "l1", "max").tolist() == [0.25, 1.0]
