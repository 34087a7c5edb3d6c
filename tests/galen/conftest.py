"""A search as it might have gone: twelve layers, a front with a clear knee, one failure, one frozen layer."""

from collections.abc import Callable

import numpy as np
import pytest

from galen.passes.policy import Bits, Keep, Policy
from galen.report.data import Episode, Figures, Layer, Run

NAMES = ["/conv1/Conv", *(f"/layer{s}/layer{s}.{b}/conv{c}/Conv" for s in (1, 2, 3) for b in (0, 1) for c in (1, 2))]
BASELINE = Figures(accuracy=0.9172, latency_ms=7.25, bytes=1_076_144, test_accuracy=0.9174)
LIMIT_MS = 0.35 * BASELINE.latency_ms


def episode(index: int, rng: np.random.Generator) -> Episode:
    if index == 7:
        return Episode(index, Policy(), None, None, False, 4.0 * index, "out of memory")
    share = float(np.clip(0.75 - index / 120 + rng.normal(0, 0.12), 0.1, 1))
    accuracy = float(np.clip(0.92 * (1 - np.exp(-6 * share)) + rng.normal(0, 0.02), 0.1, 0.92))
    latency = BASELINE.latency_ms * share
    figures = Figures(accuracy, latency, int(BASELINE.bytes * share**2 / 4))
    reward = accuracy if latency <= LIMIT_MS else accuracy - 5 * (latency / LIMIT_MS - 1) / 10
    policy = Policy({"conv1": Keep(12, 16)}, {"/conv1/Conv": Bits(8, 8)})
    return Episode(index, policy, figures, reward, latency <= LIMIT_MS, 4.0 * index)


def layer(index: int, name: str, rng: np.random.Generator) -> Layer:
    width = 16 * 2 ** (index // 5)
    keep = int(rng.integers(width // 4, width + 1)) if index else width
    bits = Bits(*(int(n) for n in rng.choice([2, 4, 8, 32], 2)))
    before = float(rng.uniform(0.3, 0.7))
    return Layer(
        name=name,
        op="Conv",
        macs_before=2_359_296.0,
        macs_after=2_359_296.0 * keep / width,
        group=name if index else "",
        keep=keep,
        of=width,
        bits=bits if index else Bits(32, 32),
        latency_before=before,
        latency_after=before * (keep / width) * 0.5 if index != 5 else before * 1.1,
        kernel_before="winograd4x4_fp32",
        kernel_after="lanes_4x4",
        sensitivity={name: tuple(np.sort(rng.exponential(0.3, 10)).tolist()) for name in ("sparsity", "weight_bits")},
        frozen="" if index else "its input is the model's input",
    )


@pytest.fixture
def a_run() -> Callable[..., Run]:
    def make(agent: str = "joint", seed: int = 0, title: str = "resnet20-joint") -> Run:
        rng = np.random.default_rng(seed)
        episodes = tuple(episode(index, rng) for index in range(60))
        met = [(e.figures.accuracy, e.index) for e in episodes if e.figures and e.feasible]
        winner = episodes[max(met)[1]]
        assert winner.figures is not None
        layers = tuple(layer(index, name, rng) for index, name in enumerate(NAMES))
        return Run(
            title=title,
            model="resnet20.onnx",
            target="cortex-a72",
            runner="emulator",
            kind="modelled",
            clock="galen pipeline tables",
            agent=agent,
            seed=seed,
            objective=f"best accuracy within {LIMIT_MS:.2f} ms",
            max_latency_ms=LIMIT_MS,
            min_accuracy=None,
            met=True,
            seconds=263.0,
            baseline=BASELINE,
            best=Figures(0.886, winner.figures.latency_ms, winner.figures.bytes, 0.882),
            best_episode=winner.index,
            episodes=episodes,
            layers=layers,
            command="galen search resnet20.onnx --data cifar10.npz --agent joint --max-latency 35% -o out",
            environment={"galen": "0.1.0", "machine": "x86_64, 2 cores", "<script>": "</td>"},
        )

    return make
