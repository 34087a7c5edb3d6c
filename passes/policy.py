"""A policy: how many channels each group keeps, how wide each layer is. Agents write it, passes read it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from galen.ir.errors import GalenError

VERSION = 1


@dataclass(frozen=True, order=True)
class Keep:
    """`keep` of `of` channels remain."""

    keep: int
    of: int


@dataclass(frozen=True, order=True)
class Bits:
    """Widths of a layer's weights and of its input activation: 1 to 8 integer, 16 fp16, 32 fp32."""

    weight_bits: int
    activation_bits: int


FP32 = Bits(32, 32)
FP16 = Bits(16, 16)
INT8 = Bits(8, 8)


@dataclass(frozen=True)
class Policy:
    """One point of the search space.

    Attributes:
        groups: channels kept, by group name (a group is named after its first producer); absent groups are whole.
        layers: widths, by layer (node) name; absent layers stay fp32.
        digest: structural digest of the model after `simplify,fold-batchnorm`; empty: fits by names alone.
    """

    groups: Mapping[str, Keep] = field(default_factory=lambda: MappingProxyType({}))
    layers: Mapping[str, Bits] = field(default_factory=lambda: MappingProxyType({}))
    digest: str = ""
    target: str = ""
    criterion: str = "l1"
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the contents of a `policy.json`."""
        return {
            "version": VERSION,
            "digest": self.digest,
            "target": self.target,
            "criterion": self.criterion,
            "seed": self.seed,
            "groups": {name: {"keep": k.keep, "of": k.of} for name, k in self.groups.items()},
            "layers": {
                name: {"weight_bits": b.weight_bits, "activation_bits": b.activation_bits}
                for name, b in self.layers.items()
            },
        }

    @classmethod
    def from_json(cls, data: Any, *, where: str = "policy") -> "Policy":
        """Read the contents of a `policy.json`.

        Raises:
            GalenError: the data is not a policy of this version; the message names the offending key.
        """
        if not isinstance(data, dict):
            raise GalenError("a policy is a JSON object", where=where)
        if data.get("version") != VERSION:
            raise GalenError(f"policy version {data.get('version')!r} is not supported", where=where, hint="expected 1")
        known = {"version", "digest", "target", "criterion", "seed", "groups", "layers"}
        if unknown := sorted(set(data) - known):
            raise GalenError(f"unknown key {unknown[0]!r} in policy", where=where, hint=f"known: {sorted(known)}")
        groups = {
            name: Keep(*_integers(entry, ("keep", "of"), 1, 2**31 - 1, f"{where}: groups.{name}"))
            for name, entry in _section(data, "groups", where).items()
        }
        for name, kept in groups.items():
            if kept.keep > kept.of:
                raise GalenError(f"keeps {kept.keep} of {kept.of} channels", where=f"{where}: groups.{name}")
        layers = {
            name: Bits(*_integers(entry, ("weight_bits", "activation_bits"), 1, 32, f"{where}: layers.{name}"))
            for name, entry in _section(data, "layers", where).items()
        }
        for name, bits in layers.items():
            if bad := [w for w in (bits.weight_bits, bits.activation_bits) if w > 8 and w not in (16, 32)]:
                raise GalenError(f"{bad[0]} bits: widths are 1 to 8, 16 and 32", where=f"{where}: layers.{name}")
        texts = {key: data.get(key, default) for key, default in (("digest", ""), ("target", ""), ("criterion", "l1"))}
        if wrong := [key for key, value in texts.items() if not isinstance(value, str)]:
            raise GalenError(f"{wrong[0]} is not a string", where=where)
        seed = data.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise GalenError(f"seed {seed!r} is not a whole number of at least 0", where=where)
        return cls(groups=groups, layers=layers, seed=seed, **texts)

    @classmethod
    def parse(cls, text: str, *, where: str = "policy") -> "Policy":
        """Read a policy from JSON text; see `from_json`."""
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise GalenError(f"not JSON: {error}", where=where) from error
        return cls.from_json(data, where=where)

    def __str__(self) -> str:
        return json.dumps(self.to_json(), indent=1)


def _section(data: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    section = data.get(key, {})
    if not isinstance(section, dict):
        raise GalenError("is not an object", where=f"{where}: {key}")
    return section


def _integers(entry: Any, keys: tuple[str, ...], low: int, high: int, where: str) -> list[int]:
    if not isinstance(entry, dict) or set(entry) != set(keys):
        raise GalenError(f"expected exactly the keys {', '.join(keys)}", where=where)
    for key in keys:
        value = entry[key]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise GalenError(f"{key} {value!r} is not a whole number from {low} to {high}", where=where)
    return [entry[key] for key in keys]
