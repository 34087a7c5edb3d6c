"""The modelled time of what an emulated core executed.

    cycles = pipeline + departures x penalty + lines from the next cache x its cost + lines from memory / bandwidth

pipeline    sum over code of executions x cycles of one turn, all data in the first-level cache (`pipeline.py`)
departures  executions of code that is not a loop: a branch that was predicted otherwise leads there
lines       counted by simulated caches from the loads and stores that happened (`memory.py`)

The penalty, the cost and the bandwidth are the three constants fitted per core, on published times of boards
(`benchmarks/clock_boards.py`).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Self

from galen.backends.emulator.core import Execution
from galen.backends.emulator.counters import Block
from galen.backends.emulator.decode import decode, ends_in_branch, is_loop
from galen.backends.emulator.memory import Traffic
from galen.backends.emulator.pipeline import pipeline
from galen.backends.target import Target

VERSION = 3
_SIMULATED = 0.99
"""Share of the instructions whose code is simulated; the rest runs at their average."""

_LIBRARY_CYCLES = 40
"""Of one call of a mathematics function: they are chains of dependent fp64 operations."""


@dataclass(frozen=True)
class Profile:
    """What an execution costs on one target, before the caches' contents at its start are known.

    Attributes:
        pipeline: cycles with all data in the first-level cache.
        departures: executions of code that is not a loop.
        missed: lines not found, by level, with empty caches.
        written: lines written back to memory.
    """

    instructions: int
    pipeline: float
    departures: int
    missed: tuple[int, ...]
    written: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Read what `to_json` returned."""
        return cls(**{**fields, "missed": tuple(fields["missed"])})


@dataclass(frozen=True)
class Clock:
    """Turns executions into cycles of one target."""

    target: Target

    @property
    def name(self) -> str:
        """The timing model."""
        return f"galen-{VERSION}/{self.target.pipeline}"

    @property
    def fingerprint(self) -> str:
        """Digest of everything that a profile depends on besides the code: part of every cache key."""
        text = f"{_sources()}|{self.target.pipeline}|{sorted(self.target.caches.items())}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def profile(self, execution: Execution) -> Profile:
        """Return what one call on a core with empty caches costs."""
        if execution.traffic is None:
            raise ValueError("the core was run without caches")
        calls = sum(execution.library.values())
        return self.profile_blocks(execution.blocks, execution.traffic, execution.instructions, calls)

    def profile_blocks(
        self, blocks: Iterable[Block], traffic: Traffic, instructions: int | None = None, calls: int = 0
    ) -> Profile:
        """Return the cost of blocks and traffic from any source; `calls` are those of mathematics functions."""
        code = sorted(joined(mended(blocks)), key=lambda b: (-b.instructions * b.executions, b.address))
        total = sum(b.instructions * b.executions for b in code)
        seen, cycles, departures = 0, 0.0, 0
        for block in code:
            if seen >= _SIMULATED * total:
                break
            turn, loop = _turn(self.target.pipeline, block.code)
            cycles += block.executions * turn
            departures += 0 if loop else block.executions
            seen += block.instructions * block.executions
        rest = total / max(seen, 1)
        spent = cycles * rest + _LIBRARY_CYCLES * calls
        count = total if instructions is None else instructions
        return Profile(count, spent, round(departures * rest), traffic.missed, traffic.written)

    def cycles(self, profile: Profile, resident: int = 0, evicted: int = 0) -> float:
        """Return the time of a call in cycles.

        Args:
            profile: of the kernel.
            resident: lines of its arguments that the last-level cache holds at its start.
            evicted: lines that it wrote and that leave the last-level cache after its end.
        """
        table = pipeline(self.target.pipeline)
        *near, last = profile.missed
        lines = max(last - resident, 0) + profile.written + evicted
        per_line = self.target.caches["line"] / self.target.bandwidth * self.target.frequency_hz
        stalls = sum(count * table.miss * (1 << level) for level, count in enumerate(near))
        return profile.pipeline + profile.departures * table.departure + stalls + lines * per_line


@cache
def _sources() -> str:
    """Digest of the emulator and its tables, so that a change of theirs never meets an old time."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in (".py", ".c", ".h", ".json"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def mended(blocks: Iterable[Block]) -> list[Block]:
    """Undo the cuts that emulators make at the end of a page: code that ends without a branch goes on behind it."""
    whole = {block.address: block for block in sorted(blocks)}
    for address, block in sorted(whole.items(), reverse=True):
        after = whole.get(address + len(block.code))
        if after and after.executions >= block.executions and not ends_in_branch(block.code):
            whole[address] = Block(address, block.code + after.code, block.executions)
            whole[after.address] = after._replace(executions=after.executions - block.executions)
    return [block for block in whole.values() if block.executions]


def joined(blocks: Iterable[Block]) -> list[Block]:
    """Join neighbours that are executed equally often: they follow on each other, so their pipelines overlap."""
    code: list[Block] = []
    for block in sorted(blocks):
        last = code[-1] if code else None
        if last and last.address + len(last.code) == block.address and last.executions == block.executions:
            code[-1] = Block(last.address, last.code + block.code, block.executions)
        else:
            code.append(block)
    return code


@lru_cache(maxsize=1 << 16)
def _turn(name: str, code: bytes) -> tuple[float, bool]:
    """Return the cycles of one turn, and whether the code is a loop."""
    instructions = decode(code)
    return pipeline(name).cycles(instructions), is_loop(instructions)
