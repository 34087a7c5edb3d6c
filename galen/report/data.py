"""What a report is made from: one search, finished or running, as plain data. The journal fills it, pages draw it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from galen.passes.policy import FP32, Bits, Policy


@dataclass(frozen=True)
class Figures:
    """The numbers of one model.

    Attributes:
        accuracy: share of 1 on the search data.
        latency_ms: of one inference on the target.
        bytes: weights at their assigned widths.
        test_accuracy: share of 1 on data that no choice was made with.
        samples: how many `accuracy` is a share of; 0: unknown.
        raced: whether scoring stopped after them, the model being dominated for certain.
    """

    accuracy: float
    latency_ms: float
    bytes: int
    test_accuracy: float | None = None
    samples: int = 0
    raced: bool = False


@dataclass(frozen=True)
class Episode:
    """One evaluated policy.

    Attributes:
        figures: None when the evaluation failed; `error` then says why.
        feasible: whether the objective's bars were met.
        seconds: since the search began.
    """

    index: int
    policy: Policy
    figures: Figures | None
    reward: float | None
    feasible: bool
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class Layer:
    """One layer of the network, before the search and under the best policy, in execution order.

    Attributes:
        group, keep, of: the group that its output channels belong to, and how many of them remain.
        latency_before, latency_after: milliseconds of its kernels; None where it was not timed apart.
        kernel_before, kernel_after: the kernels that compute it.
        sensitivity: parameter (`sparsity`, `activation_bits`, `weight_bits`) -> KL divergence at rising ratios.
        frozen: why the search could not change it; empty when it could.
    """

    name: str
    op: str
    macs_before: float
    macs_after: float
    group: str = ""
    keep: int = 0
    of: int = 0
    bits: Bits = FP32
    latency_before: float | None = None
    latency_after: float | None = None
    kernel_before: str = ""
    kernel_after: str = ""
    sensitivity: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    frozen: str = ""


@dataclass(frozen=True)
class Run:
    """One search.

    Attributes:
        objective: in words, as `latency within 4.2 ms`.
        max_latency_ms, min_accuracy: the bars, where there are any.
        kind: `measured` or `modelled`; `clock` is the name of the timing model when modelled.
        baseline: the fp32 build of the input.
        best: the winner, after fine-tuning, built whole and run; None until one is known.
        best_episode: index of the episode that the winner's policy comes from.
        command: what was typed.
        environment: versions and machine, in the order to be shown.
    """

    title: str
    model: str
    target: str
    runner: str
    kind: str
    clock: str | None
    agent: str
    seed: int
    objective: str
    max_latency_ms: float | None
    min_accuracy: float | None
    met: bool
    seconds: float
    baseline: Figures
    best: Figures | None
    best_episode: int | None
    episodes: tuple[Episode, ...]
    layers: tuple[Layer, ...]
    command: str
    environment: Mapping[str, str]
