"""The predictor of latencies: what it has seen of whole networks, it tells again."""

from galen.backends.latency import Latency, LayerLatency
from galen.passes.policy import FP16, FP32, INT8, Bits, Policy
from galen.passes.space import LayerRange, Space
from galen.predictor import LatencyPredictor

LAYERS = tuple(LayerRange(name, "Conv", 100, 10, 8, 8, 3, 1, {}, {}, (INT8, FP16, FP32)) for name in "abc")
TIMES = {FP32: (3.0, 1.0), FP16: (2.0, 0.5), INT8: (1.0, 4.0)}
"""Milliseconds of a layer, and of everything between the layers."""


def everywhere(bits: Bits) -> Policy:
    return Policy(layers={layer.name: bits for layer in LAYERS})


def test_what_lies_between_layers_in_fp16_is_not_taken_for_what_lies_between_integers() -> None:
    predictor = LatencyPredictor(Space((), LAYERS))
    for bits, (each, between) in TIMES.items():
        timed = [(layer.name, each) for layer in LAYERS] + [("rest", between)]
        layers = tuple(LayerLatency(name, "Conv", "direct", time, 1, 1) for name, time in timed)
        total = 3 * each + between
        predictor.learn(everywhere(bits), Latency(total, total, total, 1, "modelled", "", 1, 1.0, layers))
    for bits, (each, between) in TIMES.items():
        assert abs(predictor(everywhere(bits)) - (3 * each + between)) < 0.01
