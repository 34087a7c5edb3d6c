"""Every operator family: which channels go together, and that the cut model computes what its mask computes."""

import numpy as np
import pytest
from onnx_text import difference, model, run

from galen.ir import GalenError, Model
from galen.ir.clone import clone
from galen.ir.coupling import apply_cut, couple
from galen.ir.coupling.mask import mask

# Every model maps x through `a`, a layer with 8 channels, and ends in a layer that reads channels. Beside each: the
# groups that must be found, as name -> channels.
CASES: dict[str, tuple[str, dict[str, int]]] = {
    "convolutions in a row": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[8] c, float[2,8,1,1] v>
        { a = Conv (x, w, c)  r = Relu (a)  y = Conv (r, v) }""",
        {"a": 8},
    ),
    "grouped convolution: positions of all groups": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[12,4,1,1] u, float[2,12,1,1] v>
        { a = Conv (x, w)  b = Conv <group: int = 2> (a, u)  y = Conv (b, v) }""",
        {"a": 4, "b": 6},
    ),
    "depthwise convolution with a multiplier": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[16,1,3,3] u, float[2,16,1,1] v>
        { a = Conv (x, w)  b = Conv <group: int = 8, pads: ints = [1,1,1,1]> (a, u)  y = Conv (b, v) }""",
        {"a": 8},
    ),
    "a filter that runs over the channels sees zeros in the places of those that are gone": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[1,1,3] f, float[2,8,1,1] v,
            int64[3] i = {1,1,8}, int64[4] j = {1,8,1,1}>
        { a = Conv (x, w)  p = GlobalAveragePool (a)  q = Reshape (p, i)  c = Conv <pads: ints = [1,1]> (q, f)
          r = Reshape (c, j)  s = Sigmoid (r)  m = Mul (a, s)  y = Conv (m, v) }""",
        {"a": 8},
    ),
    "a convolution of kernel 1 leaves its places alone": (
        """g (float[1,5,6] x) => (float[1,5,2] y) <float[6,8] w, float[5,5,1] f, float[8,2] v>
        { a = MatMul (x, w)  c = Conv (a, f)  y = MatMul (c, v) }""",
        {"a": 8},
    ),
    "transposed convolution": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[8,6,1,1] u, float[6] c,
            float[2,6,1,1] v>
        { a = Conv (x, w)  b = ConvTranspose (a, u, c)  y = Conv (b, v) }""",
        {"a": 8, "b": 6},
    ),
    "residual": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[8,8,1,1] u, float[2,8,1,1] v>
        { a = Conv (x, w)  b = Conv (a, u)  s = Add (a, b)  y = Conv (s, v) }""",
        {"a": 8},
    ),
    "flatten": (
        """g (float[1,3,6,6] x) => (float[1,2] y) <float[8,3,1,1] w, float[288,2] v>
        { a = Conv (x, w)  f = Flatten (a)  y = Gemm (f, v) }""",
        {"a": 8},
    ),
    "linear layers, either operand constant": (
        """g (float[5,6] x) => (float[2,5] y) <float[8,6] w, float[2,8] v>
        { t = Transpose (x)  a = MatMul (w, t)  y = MatMul (v, a) }""",
        {"a": 8},
    ),
    "concatenation and slice": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[6,3,1,1] u, float[2,9,1,1] v,
            int64[1] s = {3}, int64[1] e = {12}, int64[1] one = {1}>
        { a = Conv (x, w)  b = Conv (x, u)  c = Concat <axis: int = 1> (a, b)  d = Slice (c, s, e, one)
            y = Conv (d, v) }""",
        {"a[0:3]": 3, "a[3:8]": 5, "b[0:4]": 4, "b[4:6]": 2},
    ),
    "halves of a gated linear unit": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[2,4,1,1] v, int64[2] n = {4, 4}>
        { a = Conv (x, w)  l, r = Split <axis: int = 1> (a, n)  q = Sigmoid (r)  m = Mul (l, q)  y = Conv (m, v) }""",
        {"a": 4},
    ),
    "channel shuffle": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[2,8,1,1] v,
            int64[5] i = {1,2,4,6,6}, int64[4] j = {1,8,6,6}>
        { a = Conv (x, w)  p = Reshape (a, i)  q = Transpose <perm: ints = [0,2,1,3,4]> (p)  r = Reshape (q, j)
          y = Conv (r, v) }""",
        {"a": 4},
    ),
    "depth to space": (
        """g (float[1,3,6,6] x) => (float[1,2,12,12] y) <float[8,3,1,1] w, float[2,2,1,1] v>
        { a = Conv (x, w)  d = DepthToSpace <blocksize: int = 2> (a)  y = Conv (d, v) }""",
        {"a": 2},
    ),
    "padding of channels": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[12,3,1,1] u, float[2,12,1,1] v,
            int64[8] p = {0,1,0,0,0,3,0,0}>
        { a = Conv (x, w)  q = Pad (a, p)  b = Conv (x, u)  s = Add (q, b)  y = Conv (s, v) }""",
        {"a": 8, "b": 4},
    ),
    "permutation by Gather": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[2,4,1,1] v, int64[4] i = {7,5,3,1}>
        { a = Conv (x, w)  q = Gather <axis: int = 1> (a, i)  y = Conv (q, v) }""",
        {"a[0,2,4,6]": 4, "a[1,3,5,7]": 4},
    ),
    "batch normalisation": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[8] s, float[8] c, float[8] m,
            float[2,8,1,1] v,
            float[8] k = {1,2,3,4,1,2,3,4}>
        { a = Conv (x, w)  b = BatchNormalization (a, s, c, m, k)  y = Conv (b, v) }""",
        {"a": 8},
    ),
    "group normalisation": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[8] s, float[8] c, float[2,8,1,1] v>
        { a = Conv (x, w)  b = GroupNormalization <num_groups: int = 2> (a, s, c)  y = Conv (b, v) }""",
        {"a": 4},
    ),
    "layer normalisation and mean over channels": (
        """g (float[4,6] x) => (float[4,1] y) <float[6,8] w, float[8] s, float[8] c, int64[1] i = {-1}>
        { a = MatMul (x, w)  b = LayerNormalization (a, s, c)  y = ReduceMean (b, i) }""",
        {"a": 8},
    ),
    "squeeze and excitation": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[4,8,1,1] u, float[8,4,1,1] t,
            float[2,8,1,1] v>
        { a = Conv (x, w)  p = GlobalAveragePool (a)  b = Conv (p, u)  c = Conv (b, t)  s = Sigmoid (c)
            m = Mul (a, s)
          y = Conv (m, v) }""",
        {"a": 8, "b": 4},
    ),
    "a vector that two layers share": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[8,8,1,1] u, float[8] c,
            float[2,8,1,1] v>
        { a = Conv (x, w, c)  b = Conv (a, u, c)  y = Conv (b, v) }""",
        {"a": 8, "b": 8},
    ),
    "a matrix that two layers share stays tied": (
        """g (float[4,8] x) => (float[4,2] y) <float[8,8] w, float[8,2] v, float[8,8] u>
        { i = MatMul (x, u)  a = MatMul (i, w)  b = MatMul (a, w)  y = MatMul (b, v) }""",
        {"i": 8},
    ),
    "embedding": (
        """g (int64[1,5] x) => (float[1,5,2] y) <float[9,8] w, float[8,2] v> { a = Gather (w, x)
            y = MatMul (a, v) }""",
        {"a": 8},
    ),
    "einsum": (
        """g (float[2,5,6] x) => (float[2,5,2] y) <float[6,8] w, float[2,8] v>
        { a = Einsum <equation: string = "btc,cd->btd"> (x, w)
            y = Einsum <equation: string = "btd,ed->bte"> (a, v) }""",
        {"a": 8},
    ),
    "both directions of a recurrent layer": (
        """g (float[7,1,3] x) => (float[7,1,2] y) <float[2,24,3] w, float[2,24,8] r, float[2,48] c,
            float[16,2] v, int64[3] n = {7,1,16}>
        { a, h = GRU <hidden_size: int = 8, direction: string = "bidirectional"> (x, w, r, c)
          t = Transpose <perm: ints = [0,2,1,3]> (a)  f = Reshape (t, n)  y = MatMul (f, v) }""",
        {"a": 8},
    ),
    "heads follow one another": (
        """g (float[1,5,6] x) => (float[1,5,2] y) <float[6,24] w, float[8,2] v, int64[5] n = {1,5,3,2,4},
            int64[3] m = {1,5,8}, int64[3] one = {1,1,1}>
        { a = MatMul (x, w)  h = Reshape (a, n)  t = Transpose <perm: ints = [2,0,3,1,4]> (h)
            q, k, u = Split <axis: int = 0> (t, one)
          s = Transpose <perm: ints = [0,1,2,4,3]> (k)  e = MatMul (q, s)  p = Softmax (e)  o = MatMul (p, u)
          c = Transpose <perm: ints = [0,1,3,2,4]> (o)  f = Reshape (c, m)  y = MatMul (f, v) }""",
        {"a": 4},
    ),
    "fused attention, two query heads to a key head": (
        """<ir_version: 10, opset_import: ["" : 23]>
        g (float[1,5,6] x) => (float[1,5,2] y) <float[6,16] w, float[6,8] k, float[6,6] u, float[12,2] v>
        { a = MatMul (x, w)  b = MatMul (x, k)  c = MatMul (x, u)
          o = Attention <q_num_heads: int = 4, kv_num_heads: int = 2> (a, b, c)  y = MatMul (o, v) }""",
        {"a": 4, "c": 3},
    ),
    "fused attention with one key head": (
        """<ir_version: 10, opset_import: ["" : 23]>
        g (float[1,5,6] x) => (float[1,5,2] y) <float[6,16] w, float[6,4] k, float[6,4] u, float[16,2] v>
        { a = MatMul (x, w)  b = MatMul (x, k)  c = MatMul (x, u)
          o = Attention <q_num_heads: int = 4, kv_num_heads: int = 1> (a, b, c)  y = MatMul (o, v) }""",
        {"a": 4, "c": 4},
    ),
    "fused attention with a bias per head": (
        """<ir_version: 10, opset_import: ["" : 23]>
        g (float[1,5,6] x) => (float[1,5,2] y) <float[6,16] w, float[6,16] k, float[6,16] u, float[16,2] v,
            float[1,4,5,5] m>
        { a = MatMul (x, w)  b = MatMul (x, k)  c = MatMul (x, u)
          o = Attention <q_num_heads: int = 4, kv_num_heads: int = 4> (a, b, c, m)  y = MatMul (o, v) }""",
        {"a": 4, "c": 4},
    ),
    "rotary positions": (
        """<ir_version: 10, opset_import: ["" : 23]>
        g (float[1,2,5,6] x) => (float[1,2,5,2] y) <float[6,8] w, float[1,5,4] p, float[1,5,4] q, float[8,2] v>
        { a = MatMul (x, w)  b = RotaryEmbedding (a, p, q)  y = MatMul (b, v) }""",
        {"a": 4},
    ),
    "quantized per channel": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <int8[8,3,1,1] w, float[8] s, int8[8] z,
            float[2,8,1,1] v, float d = {0.05}, int8 o = {0}>
        { f = DequantizeLinear <axis: int = 0> (w, s, z)  a = Conv (x, f)  q = QuantizeLinear (a, d, o)
          b = DequantizeLinear (q, d, o)  y = Conv (b, v) }""",
        {"a": 8},
    ),
    "branches of an If": (
        """g (float[1,3,6,6] x, bool k) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[2,8,1,1] v>
        { a = Conv (x, w)
          b = If (k) <then_branch = h () => (float[1,8,6,6] p) { p = Relu (a) },
                      else_branch = i () => (float[1,8,6,6] q) { q = Neg (a) }>
          y = Conv (b, v) }""",
        {"a": 8},
    ),
    "carried through a Loop": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[8,8,1,1] u, float[2,8,1,1] v,
            int64 n = {2}, bool k = {1}>
        { a = Conv (x, w)
          b = Loop (n, k, a) <body = h (int64 i, bool c, float[1,8,6,6] p) => (bool d, float[1,8,6,6] q)
            { d = Identity (c)  r = Conv (p, u)  q = Relu (r) }>
          y = Conv (b, v) }""",
        {"a": 8},
    ),
    "state and steps of a Scan": (
        """g (float[1,5,6] x) => (float[1,5,2] y) <float[6,8] w, float[6,8] i, float[8,8] u, float[8,2] v, float[1,6] z,
            int64[1] at = {1}>
        { s = MatMul (z, i)  a = MatMul (x, w)
          e, b = Scan <num_scan_inputs: int = 1, scan_input_axes: ints = [1], scan_output_axes: ints = [1],
            body = h (float[1,8] p, float[1,8] t) => (float[1,8] n, float[1,8] o)
            { m = MatMul (p, u)  n = Add (m, t)  o = Tanh (n) }> (s, a)
          f = Unsqueeze (e, at)  c = Add (b, f)  y = MatMul (c, v) }""",
        {"s": 8},
    ),
    "an operator without a rule": (
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[4,8,1,1] u, float[2,4,1,1] v>
        { a = Conv (x, w)  n = LRN <size: int = 3> (a)  b = Conv (n, u)  y = Conv (b, v) }""",
        {"b": 4},
    ),
}  # fmt: skip

INTEGERS = {
    "w": np.arange(-12, 12, dtype=np.int8).reshape(8, 3, 1, 1),
    "z": np.zeros(8, np.int8),
    "s": np.linspace(0.01, 0.05, 8, dtype=np.float32),
}


def case(name: str) -> Model:
    return model(CASES[name][0], **(INTEGERS if name == "quantized per channel" else {}))


@pytest.mark.parametrize("name", CASES)
def test_groups(name: str) -> None:
    assert {group.name: group.size for group in couple(case(name)).groups} == CASES[name][1]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CASES)
def test_cut_equals_mask(name: str, seed: int) -> None:
    whole, rng = case(name), np.random.default_rng(seed)
    coupling = couple(whole)
    kept = {g.name: np.sort(rng.choice(g.size, rng.integers(1, g.size), replace=False)) for g in coupling.groups}
    cut = coupling.cut(kept)
    small = clone(whole)

    assert apply_cut(small, cut)

    assert difference(run(small), run(mask(whole, cut))) < 1e-5
    assert difference(run(small), run(whole)) > 1e-3, "the cut must show, or the comparison proves nothing"


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("heads follow one another", {"a": 2}),
        ("fused attention, two query heads to a key head", {"a": 2}),
        ("fused attention with one key head", {"a": 4}),
        ("fused attention with a bias per head", {"a": 4}),
    ],
)
def test_whole_heads(name: str, groups: dict[str, int]) -> None:
    whole = case(name)
    coupling = couple(whole, heads=True)
    cut = coupling.cut({group.name: np.arange(1, group.size) for group in coupling.groups})
    small = clone(whole)
    apply_cut(small, cut)

    assert {group.name: group.size for group in coupling.groups} == groups
    assert difference(run(small), run(mask(whole, cut))) < 1e-5
    assert difference(run(small), run(whole)) > 1e-3


def test_every_axis_that_no_rule_asks_for_stays_and_says_why() -> None:
    coupling = couple(case("an operator without a rule"))

    assert [(f.layer, f.channels) for f in coupling.frozen] == [("a", 8), ("y", 2)]
    assert coupling.frozen[0].reason == "LRN n keeps axis 1 of a whole"
    assert coupling.frozen[1].reason == "output y of the model keeps its shape"


def test_cut_names_what_is_kept() -> None:
    cut = couple(case("flatten")).cut({"a": [1, 6]})

    assert cut.kept("a", 1).tolist() == [1, 6]
    assert cut.kept("w", 0).tolist() == [1, 6]
    assert cut.kept("f", 1).tolist() == [*range(36, 72), *range(216, 252)]
    assert cut.kept("x", 1) is None


def test_lengths_that_are_computed_stay_what_they_were() -> None:
    """A scale of 1 / sqrt(channels) is part of the function; the target of a reshape follows the cut."""
    whole = model(
        """g (float[N,5,6] x) => (float[N,5,2] y) <float[6,8] w, float[8,2] v, int64 axis = {2},
            int64[2] five = {5, -1}, int64[1] zero = {0}>
        { a = MatMul (x, w)  s = Shape (a)  c = Gather (s, axis)  f = Cast <to: int = 1> (c)  r = Sqrt (f)
            d = Div (a, r)
          n = Slice (s, zero, one)  t = Concat <axis: int = 0> (n, five)  e = Reshape (d, s)  y = MatMul (e, v) }""",
        one=np.array([1], np.int64),
    )
    cut = couple(whole).cut({"a": [0, 3, 5]})
    small = clone(whole)
    apply_cut(small, cut)

    assert difference(run(small), run(mask(whole, cut))) < 1e-5


def test_an_axis_that_is_not_there_is_refused() -> None:
    broken = model("g (float[1,4] x) => (float[1,2] y, float[1,2] z) { y, z = Split<axis = 2>(x) }")
    with pytest.raises(GalenError, match="Split y: there is no axis 2 of 2"):
        couple(broken)
