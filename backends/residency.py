"""What of every kernel's arguments the last-level cache still holds when the kernel starts, in a running network."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from galen.backends.memory import plan
from galen.backends.program import Call, Program

_PAGE = 4096
_INFERENCES = 2
"""The first fills the cache; the second finds it as every later one does."""


@dataclass(frozen=True)
class Residency:
    """Bytes of one call.

    Attributes:
        resident: of its arguments, found in the cache.
        evicted: that it wrote and that left the cache before they were written again.
    """

    resident: int
    evicted: int


def residency(program: Program, capacity: int) -> tuple[Residency, ...]:
    """Return the residency of every call of `program` in a cache of `capacity` bytes.

    A cache of whole pages, least recently used out first, over the memory plan that the linked library uses.
    """
    places = _places(program)
    resident, evicted = [0] * len(program.calls), [0] * len(program.calls)
    held: OrderedDict[tuple[str, int], int | None] = OrderedDict()  # page -> the call that wrote it, if not yet saved
    for inference in range(_INFERENCES):
        counts = inference == _INFERENCES - 1
        for index, call in enumerate(program.calls):
            for page, writes in _pages(program, call, places):
                if page in held:
                    resident[index] += _PAGE * counts
                writer = held.pop(page, None)
                held[page] = index if writes else writer
                if len(held) * _PAGE > capacity:
                    saved = held.popitem(last=False)[1]
                    if saved is not None:
                        evicted[saved] += _PAGE * counts
    return tuple(Residency(a, b) for a, b in zip(resident, evicted, strict=True))


def _places(program: Program) -> dict[int, tuple[str, int]]:
    """Return where every buffer begins: in the arena, or in memory of its own."""
    arena = plan(program).offsets
    return {
        buffer: ("arena", arena[buffer]) if buffer in arena else (f"buffer {buffer}", 0)
        for buffer in range(len(program.buffers))
    }


def _pages(program: Program, call: Call, places: dict[int, tuple[str, int]]) -> Iterator[tuple[tuple[str, int], bool]]:
    """Yield the pages of a call's arguments, and whether it writes them."""
    inputs = len(call.args) - call.kernel.outputs
    for position, buffer in enumerate(map(program.memory, call.args)):
        space, start = places[buffer]
        for page in range(start // _PAGE, -(-(start + program.buffers[buffer].nbytes) // _PAGE)):
            yield (space, page), position >= inputs
