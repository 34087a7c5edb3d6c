"""Operators that onnxruntime fuses: which channels go together, and that the cut model computes what its mask does."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from families import example, export
from onnx_text import difference, model, run

from galen.ir import Model
from galen.ir.clone import clone
from galen.ir.costs import costs
from galen.ir.coupling import apply_cut, couple
from galen.ir.coupling.mask import mask
from galen.ir.io import load
from galen.passes.prune import Prune
from galen.passes.simplify import Simplify

HEAD = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>\n'

# Beside each graph: the groups with head dimensions, and those with whole heads where they differ.
CASES: dict[str, tuple[str, dict[str, int], dict[str, int]]] = {
    "activation with a bias": (
        """g (float[4,6] x) => (float[4,2] y) <float[6,8] w, float[8] c, float[8,2] v>
        { a = MatMul (x, w)  b = com.microsoft.BiasGelu (a, c)  y = MatMul (b, v) }""",
        {"a": 8}, {},
    ),
    "skip and normalise": (
        """g (float[1,4,6] x) => (float[1,4,2] y) <float[6,8] w, float[8,8] u, float[8] s, float[8] t, float[8] c,
            float[8,2] v>
        { a = MatMul (x, w)  b = MatMul (a, u)  n, m, d, r = com.microsoft.SkipLayerNormalization (b, a, s, t, c)
          e = Add (n, r)  y = MatMul (e, v) }""",
        {"a": 8}, {},
    ),
    "convolution, sum and activation": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[8,8,3,3] u, float[8] c,
            float[2,8,1,1] v>
        { a = Conv (x, w)
          b = com.microsoft.FusedConv <activation: string = "Relu", pads: ints = [1,1,1,1]> (a, u, c, a)
          y = Conv (b, v) }""",
        {"a": 8}, {},
    ),
    "linear layer and activation": (
        """g (float[4,6] x) => (float[4,2] y) <float[8,6] w, float[8] c, float[8,2] v>
        { a = com.microsoft.FusedGemm <activation: string = "Relu", transB: int = 1> (x, w, c)  y = MatMul (a, v) }""",
        {"a": 8}, {},
    ),
    "product of transposed operands": (
        """g (float[1,5,6] x) => (float[1,5,2] y) <float[6,8] w, float[6,8] u, float[6,4] t, float[4,2] v>
        { a = MatMul (x, w)  b = MatMul (x, u)  c = MatMul (x, t)
          s = com.microsoft.FusedMatMul <transB: int = 1, alpha: float = 0.3> (a, b)  p = Softmax (s)
          o = MatMul (p, c)  y = MatMul (o, v) }""",
        {"a": 8, "c": 4}, {},
    ),
    "product with the sequence in front": (
        """g (float[5,6] x) => (float[2,5,2] y) <float[6,8] w, float[6,8] u, float[2,5,2] v, int64[3] n = {5,2,4}>
        { a = MatMul (x, w)  b = MatMul (x, u)  p = Reshape (a, n)  q = Reshape (b, n)
          s = com.microsoft.FusedMatMul <transBatchA: int = 1, transBatchB: int = 1, transB: int = 1> (p, q)
          y = MatMul (s, v) }""",
        {"a": 4}, {},
    ),
    "self-attention": (
        """g (float[1,5,6] x) => (float[1,5,2] y) <float[6,8] e, float[8,24] w, float[24] c, float[8,2] v>
        { i = MatMul (x, e)  a = com.microsoft.Attention <num_heads: int = 2> (i, w, c)  y = MatMul (a, v) }""",
        {"i": 8, "a[0:16]": 4, "a[16:24]": 4}, {"i": 8, "a": 2},
    ),
    "self-attention whose values have another size": (
        """g (float[1,5,6] x) => (float[1,5,2] y) <float[6,28] w, float[28] c, float[12,2] v>
        { a = com.microsoft.Attention <num_heads: int = 2, qkv_hidden_sizes: ints = [8, 8, 12]> (x, w, c)
          y = MatMul (a, v) }""",
        {"a[0:16]": 4, "a[16:28]": 6}, {"a": 2},
    ),
    "attention with a bias for queries, keys and values": (
        """g (float[1,5,6] x) => (float[1,5,2] y) <float[6,8] w, float[6,8] k, float[6,12] u, float[28] c,
            float[1,2,5,5] m, float[12,2] v>
        { a = MatMul (x, w)  b = MatMul (x, k)  d = MatMul (x, u)
          o = com.microsoft.MultiHeadAttention <num_heads: int = 2> (a, b, d, c, , m)  y = MatMul (o, v) }""",
        {"a": 4, "d": 6}, {"a": 2},
    ),
    "an operator of onnxruntime without a rule": (
        """g (float[1,4,6] x) => (float[1,4,2] y) <float[6,8] w, float[8] c, float[8,2] v>
        { a = MatMul (x, w)  b = com.microsoft.BiasDropout (a, c)  y = MatMul (b, v) }""",
        {}, {},
    ),
}  # fmt: skip


def case(name: str) -> Model:
    return model(HEAD + CASES[name][0])


def groups(net: Model, *, heads: bool = False) -> dict[str, int]:
    return {group.name: group.size for group in couple(net, heads=heads).groups}


@pytest.mark.parametrize("name", CASES)
def test_groups(name: str) -> None:
    _, plain, heads = CASES[name]

    assert groups(case(name)) == plain
    assert groups(case(name), heads=True) == (heads or plain)


@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("name", [name for name, (_, plain, _) in CASES.items() if plain])
def test_cut_equals_mask(name: str, heads: bool) -> None:
    whole = case(name)
    coupling = couple(whole, heads=heads)
    cut = coupling.cut({group.name: np.arange(1, group.size) for group in coupling.groups})
    small = clone(whole)
    apply_cut(small, cut)

    assert difference(run(small), run(mask(whole, cut))) < 1e-5
    assert difference(run(small), run(whole)) > 1e-3, "the cut must show, or the comparison proves nothing"


def integers(low: int, high: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, shape)


def test_integer_operators_are_cut_around_their_zero_points() -> None:
    """Channels that are gone were worth zero, which is what the zero point stands for."""
    whole = model(
        HEAD
        + """g (uint8[1,3,6,6] x) => (uint8[1,2,6,6] y)
        <uint8[8,3,1,1] w, uint8[8,8,1,1] u, uint8[2,8,1,1] v, float s = {0.05}, uint8 z = {117}, uint8 o = {128}>
        { a = QLinearConv (x, s, z, w, s, o, s, z)  b = QLinearConv (a, s, z, u, s, o, s, z)
          c = com.microsoft.QLinearAdd (a, s, z, b, s, z, s, z)  d = com.microsoft.QLinearSigmoid (c, s, z, s, z)
          e = com.microsoft.QLinearMul (c, s, z, d, s, z, s, z)  y = QLinearConv (e, s, z, v, s, o, s, z) }""",
        w=integers(60, 200, 8, 3, 1, 1).astype(np.uint8),
        u=integers(60, 200, 8, 8, 1, 1).astype(np.uint8),
        v=integers(60, 200, 2, 8, 1, 1).astype(np.uint8),
    )
    feeds = {"x": integers(0, 256, 1, 3, 6, 6, seed=1).astype(np.uint8)}
    coupling = couple(whole)
    cut, small = coupling.cut({"a": [0, 2, 3, 6, 7]}), clone(whole)
    apply_cut(small, cut)

    assert groups(whole) == {"a": 8}
    assert np.array_equal(run(small, feeds)[0], run(mask(whole, cut), feeds)[0])
    assert not np.array_equal(run(small, feeds)[0], run(whole, feeds)[0])


@pytest.mark.parametrize("name", ["vit", "mobilenetv3", "conformer"])
def test_what_onnxruntime_has_optimised_is_cut_as_deep(name: str, tmp_path: Path) -> None:
    """The files that onnxruntime writes hold no shapes, and operators that ONNX cannot infer any for."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "fused.onnx"), 4
    onnxruntime.InferenceSession(export(name), options)
    net, half = load(tmp_path / "fused.onnx"), load(export(name, 8))
    for each in (net, half):
        Simplify().apply(each)
    feeds = {str(v.name): x.numpy() for v, x in zip(net.graph.inputs, example(name), strict=True)}
    cut, small = Prune(sparsity=0.5).cut(net), clone(net)
    apply_cut(small, cut)

    assert any(node.domain == "com.microsoft" for node in net.graph)
    assert difference(run(small, feeds), run(mask(net, cut), feeds)) < 1e-4
    assert costs(small).parameters <= 1.05 * costs(half).parameters
