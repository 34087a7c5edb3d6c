"""The memory plan: where in one arena every intermediate buffer of a program lives."""

from collections.abc import Mapping
from dataclasses import dataclass

from galen.backends.program import Program

ALIGNMENT = 64


@dataclass(frozen=True)
class Plan:
    """Byte offset of every buffer that is neither input, output, constant nor view, in an arena of `size` bytes."""

    offsets: Mapping[int, int]
    size: int


@dataclass(frozen=True)
class _Life:
    """A buffer is alive from the call that writes it to the last one that reads it."""

    buffer: int
    first: int
    last: int
    size: int


def plan(program: Program) -> Plan:
    """Return offsets such that buffers which are alive at the same time do not overlap.

    Largest buffer first, each at the lowest offset that is free during its life (Pisarchyk and Lee 2020, greedy by
    size for offset calculation).
    """
    placed: list[tuple[int, _Life]] = []
    for life in sorted(_lives(program), key=lambda a: (-a.size, a.first)):
        taken = sorted((at, at + o.size) for at, o in placed if o.first <= life.last and life.first <= o.last)
        offset = 0
        for start, end in taken:
            if offset + life.size <= start:
                break
            offset = max(offset, end)
        placed.append((offset, life))
    size = max((offset + life.size for offset, life in placed), default=0)
    return Plan({life.buffer: offset for offset, life in placed}, size)


def _lives(program: Program) -> list[_Life]:
    ends = {*program.inputs.values(), *program.outputs.values()}
    outside = {*program.constants, *map(program.memory, ends)}
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for index, call in enumerate(program.calls):
        for buffer in map(program.memory, call.args):
            if buffer not in outside:
                first.setdefault(buffer, index)
                last[buffer] = index
    return [_Life(b, first[b], last[b], -(-program.buffers[b].nbytes // ALIGNMENT) * ALIGNMENT) for b in first]
