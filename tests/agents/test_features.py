"""States have the published entries in the published order."""

import numpy as np

from galen.agents import features
from galen.agents.replay import Replay
from galen.agents.sensitivity import Sensitivity
from galen.agents.walk import ACTIVATION, SPARSITY, WEIGHT, Walk
from galen.passes.policy import FP32, INT8, Keep, Policy
from galen.passes.space import GroupRange, LayerRange, Space

SPACE = Space(
    groups=(GroupRange("a", 8, (2, 4, 6, 8)),),
    layers=(
        LayerRange("a", "Conv", 600, 60, 8, 3, 3, 2, {"a": 8}, {}, (INT8, FP32)),
        LayerRange("b", "Conv", 400, 40, 4, 8, 1, 1, {}, {"a": 8}, (INT8, FP32)),
    ),
)
SENSITIVITY = Sensitivity(sparsity={"a": tuple(np.linspace(0, 0.9, 10))}, int8={"a": 0.25})


def state(names: tuple[str, ...], parameters: tuple[str, ...], policy: Policy, at: int, previous: list[float]):
    walk = Walk.of(SPACE, parameters)
    raw = features.observe(walk, names, SENSITIVITY, policy, walk.steps[at], previous=np.array(previous))
    return dict(zip(names, raw, strict=True)), raw


def test_the_three_agents_see_19_32_and_47_features() -> None:
    assert [len(names) for names in (features.PRUNE, features.QUANTIZE, features.JOINT)] == [19, 32, 47]


def test_entries_stand_where_the_paper_has_them() -> None:
    joint, prune, quantize = features.JOINT, features.PRUNE, features.QUANTIZE
    assert joint[:12] == (
        *("index", "macs", "bops", "out_channels", "in_channels", "kernel", "stride", "parameters"),
        *("macs_before", "macs_after", "bops_before", "bops_after"),
    )
    assert [joint.index(name) for name in ("kl_sparsity_0.0", "kl_activation_0.0", "kl_weight_0.0")] == [12, 22, 32]
    assert joint[42:] == ("kl_int8", "kl_fp32", "previous_sparsity", "previous_activation", "previous_weight")
    assert (prune[1], prune[6], prune[8], prune[18]) == ("macs", "macs_before", "kl_sparsity_0.0", "previous_sparsity")
    assert (quantize[1], quantize[8], quantize[18], quantize[28]) == (
        *("bops", "kl_activation_0.0", "kl_weight_0.0", "kl_int8"),
    )


def test_costs_are_those_of_the_network_as_compressed_so_far() -> None:
    halved = SPACE.legal(Policy(groups={"a": Keep(4, 8)}, layers={"a": INT8}))
    seen, _ = state(features.JOINT, (SPARSITY, ACTIVATION, WEIGHT), halved, 1, [0.5, 0.35, 0.35])
    assert (seen["macs"], seen["in_channels"], seen["out_channels"], seen["parameters"]) == (200, 4, 4, 20)
    assert seen["macs_before"] == 300 / 500
    assert seen["bops_before"] == 300 * 64 / (300 * 64 + 200 * 1024)
    assert (seen["previous_sparsity"], seen["previous_weight"]) == (0.5, 0.35)


def test_what_a_layer_does_not_support_is_zero_after_standardising_and_moves_nothing_else() -> None:
    walk = Walk.of(SPACE, (SPARSITY, ACTIVATION, WEIGHT))
    states = np.array([state(features.JOINT, walk.parameters, walk.start(), i, [0.0, 0.0, 0.0])[1] for i in (0, 1)])
    assert np.isnan(states[1, 12:22]).all()
    replay = Replay.empty(10, 47, 3)
    replay.extend(states, np.zeros((2, 3)), np.zeros(2))
    standard = replay.standardise(states)
    assert np.isfinite(standard).all()
    assert (standard[1, 12:22] == 0).all()
    assert standard[0, 1] == -standard[1, 1] != 0


def test_replayed_states_are_standardised_with_the_statistics_of_the_replay_as_it_is_now() -> None:
    replay = Replay.empty(10, 1, 1)
    replay.extend(np.array([[1.0]]), np.zeros((1, 1)), np.zeros(1))
    replay.extend(np.array([[3.0]]), np.zeros((1, 1)), np.ones(1))
    batch = replay.sample(50, np.random.default_rng(0))
    assert set(batch.states[:, 0].tolist()) == {-1.0, 1.0}


def test_the_last_step_of_an_episode_has_no_next() -> None:
    replay = Replay.empty(10, 1, 1)
    replay.extend(np.array([[1.0], [2.0]]), np.zeros((2, 1)), np.zeros(2))
    assert replay.live.tolist() == [1, 0]
    assert replay.next_states[0] == 2.0
