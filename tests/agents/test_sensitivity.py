"""Sensitivity: one change at a time, each distinct one probed once, nothing made up for what is not supported."""

import numpy as np
import pytest

from galen.agents.sensitivity import RATIOS, Sensitivity, divergence, log_softmax, measure
from galen.passes.policy import FP32, INT8, Bits, Policy
from galen.passes.space import GroupRange, LayerRange, Space

SPACE = Space(
    groups=(GroupRange("a", 8, (2, 4, 6, 8)), GroupRange("whole", 4, (4,))),
    layers=(
        LayerRange("a", "Conv", 1, 1, 8, 3, 3, 1, {"a": 8}, {}, (INT8, FP32)),
        LayerRange("b", "Conv", 1, 1, 8, 8, 3, 1, {"whole": 4}, {"a": 8}, (Bits(2, 2), Bits(4, 8), INT8, FP32)),
        LayerRange("c", "Gemm", 1, 1, 8, 8, 1, 0, {}, {}, (FP32,)),
    ),
)


class Probe:
    """Logits move away from the reference by one step per channel cut and per bit below 32."""

    def __init__(self) -> None:
        self.probed: list[Policy] = []

    def __call__(self, policy: Policy) -> np.ndarray:
        self.probed.append(policy)
        cut = sum(kept.of - kept.keep for kept in policy.groups.values())
        bits = sum(64 - bits.weight_bits - bits.activation_bits for bits in policy.layers.values())
        return log_softmax(np.array([[cut + bits, 0.0], [0.0, 1.0]]))


def test_divergence_is_zero_for_equal_distributions_and_matches_its_formula() -> None:
    p, q = np.log([[0.5, 0.5]]), np.log([[0.9, 0.1]])
    assert divergence(p, p) == 0
    assert divergence(p, q) == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))


def test_curves_start_at_zero_rise_with_the_ratio_and_cover_what_is_supported() -> None:
    found = measure(SPACE, Probe())
    assert found.sparsity.keys() == {"a"}
    assert found.int8.keys() == {"a", "b"}
    assert found.weight.keys() == found.activation.keys() == {"b"}
    assert len(found.sparsity["a"]) == len(RATIOS)
    assert found.sparsity["a"][0] == 0
    assert list(found.sparsity["a"]) == sorted(found.sparsity["a"])


def test_each_distinct_change_to_a_known_count_or_width_is_probed_once() -> None:
    probe = Probe()
    measure(SPACE, probe)
    texts = [str(policy) for policy in probe.probed]
    assert len(texts) == len(set(texts))
    counts = {kept.keep for policy in probe.probed for kept in policy.groups.values()}
    assert counts == {2, 4, 6}
    widths = {bits for policy in probe.probed for name, bits in policy.layers.items() if name == "b"}
    assert widths == {INT8, Bits(4, 8), Bits(2, 8), Bits(8, 2)}


def test_a_width_is_never_taken_for_a_wider_one_that_the_target_runs() -> None:
    found = measure(SPACE, Probe())
    assert found.weight["b"][8] > found.int8["b"]
    assert found.activation["b"][8] > found.int8["b"]


def test_json_round_trip() -> None:
    found = measure(SPACE, Probe())
    assert Sensitivity.from_json(found.to_json()) == found
