"""Cuts other than channels: residual blocks, low rank, blocks behind permutations, N:M masks."""

from pathlib import Path

import numpy as np
import pytest
from onnx_text import difference, model, run

from galen.ir import GalenError, Model, UsageError
from galen.ir.costs import costs
from galen.ir.io import load
from galen.passes.block_diagonal import BlockDiagonal, mask
from galen.passes.factorise import Factorise
from galen.passes.pipeline import Pipeline
from galen.passes.remove_blocks import RemoveBlocks, find_blocks
from galen.passes.sparsify import Sparsify

RESIDUAL = """g (float[1,4,6,6] x) => (float[1,2,6,6] y) <float[4,4,3,3] w, float[4,4,3,3] v, float[6,4,3,3] t,
  float[6,6,3,3] u, float[6,4,1,1] p, float[2,6,1,1] h>
{ a = Conv <pads: ints = [1,1,1,1]> (x, w)  r = Relu (a)  b = Conv <pads: ints = [1,1,1,1]> (r, v)  first = Add (b, x)
  s = Relu (first)  c = Conv <pads: ints = [1,1,1,1]> (s, t)  d = Conv <pads: ints = [1,1,1,1]> (c, u)  e = Conv (s, p)
  second = Add (d, e)  y = Conv (second, h) }"""
LINEAR = """g (float[2,5,12] x) => (float[2,5,4] y) <float[12,16] w, float[16] b, float[16,4] v>
{ a = MatMul (x, w)  s = Add (a, b)  y = MatMul (s, v) }"""
CONV = """g (float[1,8,9,9] x) => (float[1,12,5,5] y) <float[12,8,3,3] w, float[12] b>
{ y = Conv <strides: ints = [2,2], pads: ints = [1,1,1,1]> (x, w, b) }"""


def weight(net: Model, name: str) -> np.ndarray:
    return net.graph.initializers[name].const_value.numpy()


def test_blocks_of_a_residual_network() -> None:
    assert [(block.sum.name, block.shortcut.name) for block in find_blocks(model(RESIDUAL))] == [
        ("first", "x"),
        ("second", "e"),
    ]


@pytest.mark.parametrize(
    ("blocks", "left"),
    [(("first",), ["Relu", "Conv", "Conv", "Conv", "Add", "Conv"]), (("*",), ["Relu", "Conv", "Conv"])],
)
def test_a_removed_block_leaves_its_shortcut(blocks: tuple[str, ...], left: list[str]) -> None:
    net = model(RESIDUAL)
    assert RemoveBlocks(blocks=blocks).apply(net)

    assert [node.op_type for node in net.graph] == left
    assert run(net)[0].shape == (1, 2, 6, 6)


def test_removing_a_block_equals_a_body_of_zeros() -> None:
    zero = model(RESIDUAL, v=np.zeros((4, 4, 3, 3), np.float32))
    whole, net = model(RESIDUAL, v=np.zeros((4, 4, 3, 3), np.float32)), zero
    RemoveBlocks(blocks=("first",)).apply(net)

    assert difference(run(net), run(whole)) < 1e-6


def test_a_pattern_that_fits_no_block_is_refused() -> None:
    with pytest.raises(GalenError, match="blocks: first, second"):
        RemoveBlocks(blocks=("third",)).apply(model(RESIDUAL))


def low_rank(shape: tuple[int, int], rank: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))).astype(np.float32)


@pytest.mark.parametrize("method", ["svd", "tucker"])
def test_a_convolution_of_low_rank_is_factorised_exactly(method: str) -> None:
    w = low_rank((12, 72), 3).reshape(12, 8, 3, 3)
    net, whole = model(CONV, w=w), model(CONV, w=w)
    assert Factorise(energy=1.0 - 1e-9, method=method).apply(net)

    assert costs(net).parameters < costs(whole).parameters
    assert difference(run(net), run(whole)) < 1e-4


def test_the_error_of_a_linear_layer_is_that_of_the_dropped_values() -> None:
    net = model(LINEAR)
    w = weight(net, "w").astype(np.float64)
    values = np.linalg.svd(w, compute_uv=False)
    Factorise(rank=4 / 12, layers=("a",)).apply(net)
    left, right = (weight(net, f"a.{side}").astype(np.float64) for side in ("left", "right"))

    assert left.shape == (12, 4)
    assert np.square(w - left @ right).sum() == pytest.approx(np.square(values[4:]).sum(), rel=1e-4)


def test_full_rank_takes_more_parameters_and_is_left_alone() -> None:
    assert not Factorise(rank=1.0).apply(model(CONV))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("shuffle", [True, False])
def test_blocks_equal_the_masked_matrix(shuffle: bool, seed: int) -> None:
    net, masked = model(LINEAR), model(LINEAR)
    BlockDiagonal(blocks=4, layers=("a",), shuffle=shuffle, seed=seed).apply(net)
    rows, scatter = weight(net, "a.rows").reshape(4, -1), weight(net, "a.columns")
    columns = np.argsort(scatter).reshape(4, -1)
    value = masked.graph.initializers["w"]
    value.const_value = model(LINEAR, w=weight(masked, "w") * mask(rows, columns)).graph.initializers["w"].const_value

    assert weight(net, "a.weight").size * 4 == weight(masked, "w").size
    assert difference(run(net), run(masked)) < 1e-5


def test_two_of_four_along_the_sum() -> None:
    net = model(LINEAR)
    before = weight(net, "w").copy()
    assert Sparsify(n=2, m=4, layers=("a",)).apply(net)
    after = weight(net, "w")

    blocks, kept = np.abs(before.T.reshape(16, 3, 4)), (after != 0).T.reshape(16, 3, 4)
    assert (kept.sum(axis=2) == 2).all()
    assert (np.where(kept, blocks, np.inf).min(axis=2) >= np.where(kept, 0, blocks).max(axis=2)).all()
    assert not Sparsify(n=2, m=4, layers=("a",)).apply(net), "sparsifying twice changes nothing"


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("resnet20_cifar10", "factorise{rank=0.25}", 0.29),
        ("resnet20_cifar10", "factorise{energy=0.9 method=tucker}", 0.63),
        ("resnet20_cifar10", 'remove-blocks{blocks=["*"]}', 0.27),
        ("resnet20_cifar10", "prune{sparsity=0.5},factorise{rank=0.25}", 0.08),
        ("cct_cifar10", "block-diagonal{blocks=2}", 0.57),
        ("cct_cifar10", "sparsify{n=2 m=4}", 1.0),
    ],
)
def test_real_networks(models_dir: Path, name: str, text: str, left: float) -> None:
    """Every cut leaves a network that runs, with the share of parameters that it promises."""
    net = load(models_dir / f"{name}.onnx")
    Pipeline.parse("simplify,fold-batchnorm").apply(net)
    before, outputs = costs(net).parameters, run(net)
    Pipeline.parse(text).apply(net)

    assert left - 0.03 < costs(net).parameters / before <= left
    assert [array.shape for array in run(net)] == [array.shape for array in outputs]
    assert difference(run(net), outputs) > 1e-3


@pytest.mark.parametrize(
    "make",
    [
        Factorise,
        lambda: Factorise(rank=0.5, energy=0.5),
        lambda: Factorise(rank=0.0),
        lambda: Sparsify(n=4, m=4),
        lambda: BlockDiagonal(blocks=1),
    ],
)
def test_options_out_of_range(make) -> None:
    with pytest.raises(UsageError):
        make()
