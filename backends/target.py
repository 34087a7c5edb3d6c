"""Targets: what the compiler, the clock and the search must know of a core."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from galen.passes.space import Limits


@dataclass(frozen=True)
class Target:
    """One core type of one machine.

    Attributes:
        name: what the user calls it, `cortex-a72`.
        triple: LLVM triple, `aarch64-linux-gnu`.
        cpu: LLVM cpu name.
        features: LLVM attributes, `+neon`, `+dotprod`.
        aliases: boards that have this core.
        description: one line for `galen targets`.
        pipeline: name of the table that times the core's instructions (`emulator/pipelines`); empty: not emulated.
        frequency_hz: clock that modelled cycles are divided by.
        caches: `line` and, per level, size in bytes (`l1`, `l2`, `l3`: data, as one core sees it) and `l1_ways` ...
        bandwidth: bytes per second that one core gets from memory.
        threads: that one inference uses; code for one has no parallel regions.
        limits: what the search may choose here.
    """

    name: str
    triple: str
    cpu: str
    features: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    description: str = ""
    pipeline: str = ""
    cores: int = 1
    frequency_hz: float = 1e9
    caches: Mapping[str, int] = field(default_factory=dict)
    bandwidth: float = 4e9
    threads: int = 1
    limits: Limits = field(default_factory=Limits)

    def has(self, feature: str) -> bool:
        """Return whether the core has an LLVM feature, named without the plus sign."""
        return f"+{feature}" in self.features

    @property
    def cache(self) -> int:
        """Bytes of the last-level cache; 0 where that is not known."""
        return max((size for level, size in self.caches.items() if level in ("l1", "l2", "l3")), default=0)

    @property
    def codegen(self) -> str:
        """What code depends on, as text: part of every cache key."""
        parallel = "/parallel" if self.threads > 1 else ""
        return f"{self.triple}/{self.cpu}/{','.join(self.attributes)}{parallel}"

    @property
    def attributes(self) -> tuple[str, ...]:
        """What LLVM is told of the core's features.

        ARM code is NEON code on cores with SVE too: LLVM would mix the two, and the clock knows one of them.
        """
        return (*self.features, *(["-sve"] if self.triple.startswith("aarch64") else []))

    @property
    def llvm(self) -> dict[str, Any]:
        """The target in TVM's form (`tvm.target.Target(target.llvm)`)."""
        return {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.cpu,
            "mattr": list(self.attributes),
            "num-cores": self.cores,
        }

    def __str__(self) -> str:
        return json.dumps(self.llvm, sort_keys=True)
