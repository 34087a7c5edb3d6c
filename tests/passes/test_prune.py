"""The prune pass: how many channels, which ones, what it refuses, and a real residual network."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from onnx_text import difference, model, run

from galen.ir import GalenError, Model, UsageError
from galen.ir.clone import clone
from galen.ir.costs import costs
from galen.ir.coupling import apply_cut, couple
from galen.ir.coupling.mask import mask
from galen.ir.dataset import Dataset
from galen.ir.digest import digest
from galen.ir.io import load
from galen.passes import text
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.policy import Keep, Policy
from galen.passes.prune import Prune
from galen.passes.simplify import Simplify
from galen.passes.space import Limits

NET = """g (float[N,3,6,6] x) => (float[N,4] y)
<float[8,3,3,3] w, float[8] b, float[12,8,3,3] u, float[12] c, float[12,4] v>
{ first = Conv <pads: ints = [1,1,1,1]> (x, w, b)  r = Relu (first)
  second = Conv <pads: ints = [1,1,1,1]> (r, u, c)  s = Relu (second)
  p = GlobalAveragePool (s)  f = Flatten (p)  y = Gemm (f, v) }"""


@pytest.fixture
def net() -> Model:
    return model(NET)


@pytest.fixture
def data() -> Dataset:
    images = np.random.default_rng(3).standard_normal((64, 3, 6, 6)).astype(np.float32)
    return Dataset(lambda places: {"x": images[places]}, np.arange(64) % 4, 64)


def widths(prune: Prune, net: Model) -> dict[str, int]:
    return {name: len(kept) for name, kept in prune.cut(net).groups.items()}


def shape(net: Model, initializer: str) -> list[int]:
    return list(net.graph.initializers[initializer].const_value.shape)


def test_tensors_shrink(net: Model) -> None:
    assert Prune(sparsity=0.5).apply(net)

    assert [shape(net, name) for name in "wbucv"] == [[4, 3, 3, 3], [4], [6, 4, 3, 3], [6], [6, 4]]
    assert run(net, {"x": np.zeros((2, 3, 6, 6), np.float32)})[0].shape == (2, 4)


def test_the_smallest_filters_go(net: Model) -> None:
    norms = np.abs(net.graph.initializers["w"].const_value.numpy()).sum(axis=(1, 2, 3))
    kept = Prune(sparsity=0.5).cut(net).kept("first", 1)

    assert set(kept.tolist()) == set(np.argsort(norms)[4:].tolist())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"sparsity": 0.5}, {"first": 4, "second": 6}),
        ({"sparsity": 0.5, "exclude": ("second",)}, {"first": 4, "second": 12}),
        ({"sparsity": 0.5, "ratios": {"sec*": 0.25}}, {"first": 4, "second": 9}),
        ({"sparsity": 0.5, "round_to": 4}, {"first": 4, "second": 8}),
        ({"sparsity": 0.05, "round_to": 8}, {"first": 8, "second": 12}),
        ({"sparsity": 0.9, "min_channels": 3}, {"first": 3, "second": 3}),
        ({"sparsity": 0.5, "limits": Limits(4, 1)}, {"first": 4, "second": 8}),
        ({"sparsity": 0.5, "round_to": 3, "limits": Limits(4, 1)}, {"first": 6, "second": 6}),
        ({"sparsity": 0.9, "limits": Limits(1, 5)}, {"first": 5, "second": 5}),
        ({"sparsity": 0.99}, {"first": 1, "second": 1}),
        ({"sparsity": 0.75, "steps": 2}, {"first": 2, "second": 3}),
        ({"policy": Policy(groups={"second": Keep(5, 12)})}, {"first": 8, "second": 5}),
    ],
)
def test_how_many_stay(net: Model, options: dict[str, object], expected: dict[str, int]) -> None:
    assert {"first": 8, "second": 12} | widths(Prune(**options), net) == expected


def test_steps_cut_layers_that_share_a_vector() -> None:
    net = model(
        """g (float[1,3,6,6] x) => (float[1,2,6,6] y) <float[8,3,1,1] w, float[8,8,1,1] u, float[8] c, float[2,8,1,1] v>
        { a = Conv (x, w, c)  b = Conv (a, u, c)  y = Conv (b, v) }"""
    )
    Prune(sparsity=0.75, steps=3).apply(net)

    assert {value.name: list(value.shape) for node in net.graph for value in node.outputs}["b"] == [1, 2, 6, 6]
    run(net)


def test_a_rounded_small_sparsity_cuts_nothing(net: Model) -> None:
    assert not Prune(sparsity=0.05, round_to=4).apply(net)


@pytest.mark.parametrize("of", ["parameters", "macs"])
def test_share_of_a_cost(net: Model, of: str) -> None:
    small = clone(net)
    Prune(sparsity=0.4, of=of).apply(small)
    left = getattr(costs(small), of) / getattr(costs(net), of)

    assert 0.45 < left <= 0.6


def nodes_and_widths(net: Model) -> float:
    """Stand for a latency: overhead per node, and time per channel."""
    return sum(5 + int(value.shape[1]) for node in net.graph for value in node.outputs)


def test_share_of_a_cost_of_the_users_own(net: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "my_cost", SimpleNamespace(time=nodes_and_widths))
    small = clone(net)
    Prune(sparsity=0.25, of="my_cost:time").apply(small)

    assert 0.65 < nodes_and_widths(small) / nodes_and_widths(net) <= 0.75
    with pytest.raises(GalenError, match="cannot remove 90%"):
        Prune(sparsity=0.9, of="my_cost:time").apply(clone(net))
    with pytest.raises(UsageError, match="unknown cost"):
        Prune(sparsity=0.5, of="speed")


def test_global_ranking_takes_the_share_of_all_channels(net: Model) -> None:
    assert sum(widths(Prune(sparsity=0.4, global_=True), net).values()) == 12


@pytest.mark.parametrize(
    "criterion", ["l1", "l2", "fpgm", "lamp", "bn-scale", "taylor", "hessian", "activation", "reconstruction", "random"]
)
def test_every_criterion_prunes(net: Model, data: Dataset, criterion: str) -> None:
    prune = Prune(sparsity=0.5, criterion=criterion, data=data)

    assert widths(prune, net) == {"first": 4, "second": 6}
    assert prune.cut(net).kept("first", 1).tolist() == prune.cut(net).kept("first", 1).tolist(), "deterministic"


@pytest.mark.parametrize("criterion", ["taylor", "hessian", "activation", "reconstruction"])
def test_criteria_that_look_at_data_ask_for_it(net: Model, criterion: str) -> None:
    with pytest.raises(GalenError, match="needs data"):
        Prune(sparsity=0.5, criterion=criterion).apply(net)


@pytest.mark.parametrize("recover", ["statistics", "reconstruction"])
def test_recovery_brings_the_answers_nearer_to_the_original(net: Model, data: Dataset, recover: str) -> None:
    x = next(data.batches(64)).inputs
    answers = []
    for how in ("none", recover):
        small = clone(net)
        Prune(sparsity=0.5, recover=how, train_data=data).apply(small)
        answers.append(run(small, dict(x)))
    original = run(net, dict(x))

    assert difference(answers[1], original) < difference(answers[0], original)
    with pytest.raises(GalenError, match="recover needs data"):
        Prune(sparsity=0.5, recover=recover).apply(net)
    assert shape(net, "w") == [8, 3, 3, 3], "after an error the model is as it was"


def test_policy_of_another_model_is_refused_and_the_model_stays(net: Model) -> None:
    policy = Policy(groups={"first": Keep(4, 8)}, digest="0" * 32)
    with pytest.raises(GalenError, match="policy is for"):
        Prune(policy=policy).apply(net)
    assert shape(net, "w") == [8, 3, 3, 3]

    assert Prune(policy=replace(policy, digest=digest(net))).apply(net)
    assert shape(net, "w") == [4, 3, 3, 3]


@pytest.mark.parametrize(
    ("groups", "message"),
    [({"third": Keep(1, 2)}, "no group 'third'"), ({"first": Keep(4, 9)}, "has 8 channels, not 9")],
)
def test_policy_that_does_not_fit(net: Model, groups: dict[str, Keep], message: str) -> None:
    with pytest.raises(GalenError, match=message):
        Prune(policy=Policy(groups=groups)).apply(net)


@pytest.mark.parametrize("options", ["", "sparsity=1.0", "sparsity=-0.1", "sparsity=0.5 round-to=0", "steps=2"])
def test_options_out_of_range(options: str) -> None:
    with pytest.raises(UsageError):
        text.parse(f"prune{{{options}}}")


def test_text_round_trips() -> None:
    (prune,) = text.parse(
        'prune{sparsity=0.5 global=true criterion=taylor round-to=8 exclude=["a*"] ratios={"b":0.25}}'
    )

    assert (prune.global_, prune.exclude, prune.ratios) == (True, ("a*",), {"b": 0.25})
    assert text.parse(str(prune)) == (prune,)


def test_explain_says_what_goes_and_what_stays_and_why(net: Model) -> None:
    assert list(Prune(sparsity=0.5, exclude=("first",)).explain(net)) == [
        "cut 0 of 8 channels of first: first",
        "cut 6 of 12 channels of second: second",
        "keep 4 channels of y: output y of the model keeps its shape",
    ]


@pytest.fixture(scope="module")
def resnet20(request: pytest.FixtureRequest) -> Model:
    models: Path = request.getfixturevalue("models_dir")
    net = load(models / "resnet20_cifar10.onnx")
    Simplify().apply(net)
    FoldBatchNorm().apply(net)
    return net


def test_resnet20_shortcuts_tie_channel_ranges(resnet20: Model) -> None:
    """Option A: channel j of stage 1 is j + 8 of stage 2 and j + 24 of stage 3."""
    sizes = [group.size for group in couple(resnet20).groups]
    stem = couple(resnet20).group("/conv1/Conv")

    assert sorted(sizes) == sorted([16, 16, 32] + [16] * 3 + [32] * 3 + [64] * 3)
    assert {member.index[0].tolist()[0] for member in stem.members} == {0, 8, 24}


def test_resnet20_at_half_keeps_a_quarter_and_equals_its_mask(resnet20: Model) -> None:
    cut, small = Prune(sparsity=0.5).cut(resnet20), clone(resnet20)
    apply_cut(small, cut)

    assert costs(small).parameters / costs(resnet20).parameters < 0.26
    assert difference(run(small), run(mask(resnet20, cut))) < 1e-5


def test_resnet20_quantized_is_pruned_with_its_scales(models_dir: Path) -> None:
    net = load(models_dir / "mlperf_ic_resnet8_int8_qdq.onnx")
    Simplify().apply(net)
    cut, small = Prune(sparsity=0.5).cut(net), clone(net)
    apply_cut(small, cut)

    assert costs(small).parameters / costs(net).parameters < 0.28
    assert difference(run(small), run(mask(net, cut))) < 1e-5


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("attacut_c", 0.27), ("cct_cifar10", 0.27), ("espcn_subpixel", 0.3), ("mbv3se_cifar10", 0.28),
        ("mlperf_ic_resnet8", 0.26), ("mlperf_kws_dscnn", 0.33), ("mlperf_vww_mobilenetv1", 0.27),
        ("mnist_cntk", 0.37), ("mtcnn_onet", 0.26), ("ppocr_cls_mbv3se", 0.3), ("silero_vad_16k_seq", 0.52),
        ("ultraface_rfb320", 0.38),
    ],
)  # fmt: skip
def test_real_models(models_dir: Path, name: str, bound: float) -> None:
    """Depthwise layers and heads shrink in one direction only, which is why some keep more than a quarter."""
    net = load(models_dir / f"{name}.onnx")
    Simplify().apply(net)
    FoldBatchNorm().apply(net)
    cut, small = Prune(sparsity=0.5).cut(net), clone(net)
    apply_cut(small, cut)

    assert elements(small) / elements(net) < bound
    if name not in ("ppocr_cls_mbv3se", "silero_vad_16k_seq", "attacut_c"):  # inputs of any size need sensible ones
        assert difference(run(small), run(mask(net, cut))) < 1e-4


def elements(net: Model) -> int:
    return sum(value.const_value.size for value in net.graph.initializers.values())
