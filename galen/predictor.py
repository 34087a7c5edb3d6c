"""Estimates the latency of a policy from the layers already timed in this search, without building anything.

It sees only what the search itself has timed, never what happens to be in a cache: two searches with the same seed
predict, and therefore do, the same.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from galen.backends.latency import Latency
from galen.passes.policy import FP16, FP32, INT8, Policy
from galen.passes.space import LayerRange, Space

RATE = 0.3
"""How fast the correction follows the last candidates."""

_Sample = tuple[float, float, float]
"""Share of outputs kept, share of inputs kept, milliseconds."""
_Whole = tuple[float, float, float, float, float]
"""Mean share of channels kept, shares of layers in integers, in fp16, of neighbours of unlike kind, milliseconds."""


@dataclass
class LatencyPredictor:
    """Sum over layers of the nearest timed variant of each, scaled by a power of its work.

    Near means: same widths, and a small ratio of channels. The power is that of the layer's own samples: kernels that
    pad their channels gain less than in proportion. What belongs to no layer of the space (pooling, additions,
    conversions between widths) is interpolated between whole networks. What candidates turned out to take beyond the
    estimate is added to it, with as much again as that varies, so that most candidates keep within a bound.
    """

    space: Space
    _layers: dict[str, list[_Sample]] = field(default_factory=dict)
    _rest: list[_Whole] = field(default_factory=list)
    _drift: float = 0.0
    _spread: float = 0.0
    _estimates: dict[tuple[str, float, float], float] = field(default_factory=dict, repr=False)

    def observe(self, policy: Policy, latency: Latency) -> None:
        """Take in the time of a candidate whose time had been predicted."""
        error = math.log(latency.median / self._sum(policy))
        self._spread += RATE * (abs(error - self._drift) - self._spread)
        self._drift += RATE * (error - self._drift)
        self.learn(policy, latency)

    def learn(self, policy: Policy, latency: Latency) -> None:
        """Take in the time of a network that was built under `policy`."""
        self._estimates.clear()
        times: dict[str, float] = {}
        for timed in latency.layers:
            times[timed.name] = times.get(timed.name, 0.0) + timed.latency_ms
        for layer in self.space.layers:
            sample = (*self._shares(layer, policy), times.pop(layer.name, 0.0))
            samples = self._layers.setdefault(self._key(layer, policy), [])
            if sample not in samples:
                samples.append(sample)
        self._rest.append((*self._summary(policy), sum(times.values())))

    def __call__(self, policy: Policy) -> float:
        """Return the estimate in milliseconds."""
        return self._sum(policy) * math.exp(self._drift + self._spread)

    def _sum(self, policy: Policy) -> float:
        return sum(self.layer(layer, policy) for layer in self.space.layers) + self._other(policy)

    def layer(self, layer: LayerRange, policy: Policy) -> float:
        """Return one layer's share of it: the time of the nearest sample times a power of the ratio of work."""
        key = (self._key(layer, policy), *self._shares(layer, policy))
        if key not in self._estimates:
            self._estimates[key] = self._estimate(layer, *key)
        return self._estimates[key]

    def _estimate(self, layer: LayerRange, key: str, out: float, inner: float) -> float:
        samples = self._layers.get(key) or self._layers.get(f"{layer.name}|{FP32}", [])
        if not samples:
            return 0.0
        near = min(samples, key=lambda s: abs(math.log(s[0] / out)) + abs(math.log(s[1] / inner)))
        return near[2] * math.exp(_exponent(samples) * math.log(out * inner / (near[0] * near[1])))

    def _other(self, policy: Policy) -> float:
        """Mean over the networks seen, weighted by the inverse square of their distance."""
        here = self._summary(policy)
        weights = [1 / (sum((a - b) ** 2 for a, b in zip(here, seen[:4], strict=True)) + 1e-6) for seen in self._rest]
        return sum(w * seen[4] for w, seen in zip(weights, self._rest, strict=True)) / max(sum(weights), 1e-12)

    def _key(self, layer: LayerRange, policy: Policy) -> str:
        return f"{layer.name}|{policy.layers.get(layer.name, FP32)}"

    def _shares(self, layer: LayerRange, policy: Policy) -> tuple[float, float]:
        return (
            self.space.share(layer.outputs, layer.out_channels, policy),
            self.space.share(layer.inputs, layer.in_channels, policy),
        )

    def _summary(self, policy: Policy) -> tuple[float, float, float, float]:
        """Return the first four entries of `_Whole`."""
        layers, count = self.space.layers, max(len(self.space.layers), 1)
        kept = sum(self._shares(layer, policy)[0] for layer in layers) / count
        bits = [policy.layers.get(layer.name, FP32) for layer in layers]
        kinds = [pair if pair in (FP32, FP16) else INT8 for pair in bits]
        unlike = sum(a != b for a, b in pairwise(kinds))
        return kept, kinds.count(INT8) / count, kinds.count(FP16) / count, unlike / count

    def state(self) -> dict[str, Any]:
        """Return all samples."""
        return {
            "layers": {key: list(map(list, s)) for key, s in self._layers.items()},
            "rest": list(map(list, self._rest)),
            "error": [self._drift, self._spread],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        self._estimates.clear()
        self._layers = {key: [(a, b, c) for a, b, c in samples] for key, samples in state["layers"].items()}
        self._rest = [(a, b, c, d, e) for a, b, c, d, e in state["rest"]]
        self._drift, self._spread = state["error"]


def _exponent(samples: list[_Sample]) -> float:
    """Return the slope of log time over log work, 0 to 1.2; 1 when the samples do not tell."""
    points = [(math.log(out * inner), math.log(ms)) for out, inner, ms in samples if ms > 0]
    mean_work = sum(work for work, _ in points) / max(len(points), 1)
    spread = sum((work - mean_work) ** 2 for work, _ in points)
    if spread < 1e-3:
        return 1.0
    return min(max(sum((work - mean_work) * time for work, time in points) / spread, 0.0), 1.2)
