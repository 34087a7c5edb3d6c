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
        frequency_hz: clock that modelled cycles are divided by.
        limits: what the search may choose here.
    """

    name: str
    triple: str
    cpu: str
    features: tuple[str, ...] = ()
    cores: int = 1
    frequency_hz: float = 1e9
    caches: Mapping[str, int] = field(default_factory=dict)
    bandwidth: float = 4e9
    limits: Limits = field(default_factory=Limits)

    def has(self, feature: str) -> bool:
        """Return whether the core has an LLVM feature, named without the plus sign."""
        return f"+{feature}" in self.features

    @property
    def codegen(self) -> str:
        """What code depends on, as text: part of every cache key."""
        return f"{self.triple}/{self.cpu}/{','.join(self.features)}"

    @property
    def llvm(self) -> dict[str, Any]:
        """The target in TVM's form (`tvm.target.Target(target.llvm)`)."""
        return {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.cpu,
            "mattr": list(self.features),
            "num-cores": self.cores,
        }

    def __str__(self) -> str:
        return json.dumps(self.llvm, sort_keys=True)
