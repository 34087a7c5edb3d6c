"""What a runner returns: times with their spread, and where they come from."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["measured", "modelled"]


@dataclass(frozen=True)
class LayerLatency:
    """One kernel call of a network. Times in milliseconds."""

    name: str
    op: str
    kernel: str
    latency_ms: float
    instructions: int | None
    macs: int


@dataclass(frozen=True)
class Latency:
    """Time of one inference in milliseconds.

    Attributes:
        kind: `measured` on hardware of the target's kind, else `modelled`.
        model: name of the timing model when modelled.
        instructions, cycles: of the kernels of one inference, when the runner can count them.
    """

    median: float
    p10: float
    p90: float
    runs: int
    kind: Kind
    model: str | None
    instructions: int | None
    cycles: float | None
    layers: tuple[LayerLatency, ...] = ()
