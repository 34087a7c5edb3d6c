"""The modelled time of what an emulated core executed.

cycles = sum over blocks of executions x the pipeline's cycles for one turn.
"""

from collections.abc import Callable
from dataclasses import dataclass

from galen.backends.emulator.core import Execution
from galen.backends.emulator.decode import decode
from galen.backends.emulator.pipeline import pipeline
from galen.backends.target import Target

VERSION = 1
_SIMULATED = 0.995
"""Share of the instructions whose blocks are simulated; the rest runs at their average."""

_LIBRARY_CYCLES = 40
"""Of one call of a mathematics function: they are chains of dependent fp64 operations."""


@dataclass(frozen=True)
class Clock:
    """Turns executions into cycles of one target."""

    target: Target

    @property
    def name(self) -> str:
        """The timing model, part of every cache key: whoever changes the model changes `VERSION`."""
        return f"galen-{VERSION}/{self.target.pipeline}"

    def cycles(self, execution: Execution, code: Callable[[int, int], bytes]) -> float:
        """Return the cycles of one call.

        Args:
            execution: what was executed.
            code: the machine code at an address, of so many instructions (`Core.code`).
        """
        table = pipeline(self.target.pipeline)
        blocks = sorted(execution.blocks, key=lambda b: (-b.instructions * b.executions, b.address))
        total = sum(b.instructions * b.executions for b in blocks)
        seen, cycles = 0, 0.0
        for block in blocks:
            if seen >= _SIMULATED * total:
                break
            cycles += block.executions * table.cycles(decode(code(block.address, block.instructions)))
            seen += block.instructions * block.executions
        return cycles * total / max(seen, 1) + _LIBRARY_CYCLES * sum(execution.library.values())
