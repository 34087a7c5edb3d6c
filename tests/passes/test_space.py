"""The search space of a model on a target."""

import pytest
from onnx_text import model

from galen.ir.clone import clone
from galen.ir.costs import layer_costs
from galen.passes.policy import FP32, INT8, Keep, Policy
from galen.passes.prune import Prune
from galen.passes.space import Limits, space_of

NET = """g (float[1,3,6,6] x) => (float[1,4] y)
<float[8,3,3,3] w, float[8] b, float[8,1,3,3] d, float[12,4,3,3] u, float[12] c, float[12,4] v>
{ first = Conv <pads: ints = [1,1,1,1], strides: ints = [2,2]> (x, w, b)  deep = Conv <group: int = 8> (first, d)
  second = Conv <group: int = 2, pads: ints = [1,1,1,1]> (deep, u, c)
  p = GlobalAveragePool (second)  f = Flatten (p)  y = Gemm (f, v) }"""


def test_groups_have_the_counts_that_the_target_runs() -> None:
    space = space_of(model(NET), Limits(channel_multiple=4, minimum_channels=4))

    assert {group.name: (group.size, group.counts) for group in space.groups} == {
        "first": (4, (4,)),
        "second": (6, (4, 6)),
    }


def test_layers_in_order_with_channels_per_group() -> None:
    layers = space_of(model(NET), Limits(widths={"Conv": (INT8,)})).layers

    assert [(a.name, a.op, a.out_channels, a.in_channels, a.kernel, a.stride) for a in layers] == [
        ("first", "Conv", 8, 3, 3, 2),
        ("deep", "Conv", 8, 8, 3, 1),
        ("second", "Conv", 12, 8, 3, 1),
        ("y", "Gemm", 4, 12, 1, 0),
    ]
    assert [(dict(a.outputs), dict(a.inputs)) for a in layers] == [
        ({"first": 8}, {}),
        ({"first": 8}, {}),
        ({"second": 12}, {"first": 8}),
        ({}, {"second": 12}),
    ]
    assert layers[0].widths == (INT8, FP32)
    assert layers[3].widths == (FP32,)


def test_predicted_macs_are_those_of_the_cut_model() -> None:
    net = model(NET)
    space = space_of(net)
    policy = space.legal(Policy(groups={"first": Keep(2, 4), "second": Keep(2, 6)}))
    small = clone(net)
    Prune(policy=policy).apply(small)

    assert [space.macs(layer, policy) for layer in space.layers] == pytest.approx([a.macs for a in layer_costs(small)])
