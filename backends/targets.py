"""The targets that Galen knows: one JSON file each in `targets/`; a user's own file has the same form.

find("cortex-a72"), find("raspberry-pi-4"), find("my_board.json") -> Target
"""

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from galen.backends.target import Target
from galen.backends.target_file import read_target
from galen.ir.errors import GalenError

_FOLDER = Path(__file__).parent / "targets"
_HOST = "host"
_HOST_FEATURES = ("avx2", "fma", "avx512f", "avx512bw", "avx512vnni", "neon", "dotprod", "i8mm", "fullfp16")


def find(name: str) -> Target:
    """Return the target of that name, alias, or JSON file.

    Raises:
        GalenError: there is none (the nearest is named), or the file is malformed.
    """
    if name.endswith(".json"):
        return read_target(Path(name))
    known = {alias: target for target in all_targets() for alias in (target.name, *target.aliases)}
    if name not in known:
        nearest = get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise GalenError(f"unknown target '{name}'", hint=f"did you mean '{nearest}'? `galen targets` lists them all")
    return replace(known[name], **_this_machine()) if name == _HOST else known[name]


@cache
def all_targets() -> tuple[Target, ...]:
    """Return every target that Galen ships, by name; `host` without this machine's details, which cost an import."""
    return tuple(read_target(path) for path in sorted(_FOLDER.glob("*.json")))


@cache
def _this_machine() -> Mapping[str, Any]:
    """Return the triple, core and features that LLVM finds here."""
    from tvm.target import Target as LLVMTarget  # noqa: PLC0415
    from tvm.target import codegen  # noqa: PLC0415

    triple, cpu = codegen.llvm_get_system_triple(), codegen.llvm_get_system_cpu()
    has = set(codegen.llvm_get_cpu_features(LLVMTarget({"kind": "llvm", "mtriple": triple, "mcpu": cpu})))
    features = tuple(f"+{feature}" for feature in _HOST_FEATURES if feature in has)
    return {"triple": triple, "cpu": cpu, "features": features}
