"""Element-wise operators that no producer could take into its epilogue."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.steps import Step, apply_steps, emit_steps, operands, read
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Elementwise(Kernel):
    """An epilogue on its own. `source` is broadcast to `sink` along axes of extent 1."""

    source: Image
    sink: Image
    steps: tuple[Step, ...]
    family: ClassVar[str] = "elementwise"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, operands, image."""
        return (self.source.spec, *operands(self.steps), self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Apply the steps."""
        shape = (self.sink.n, self.sink.h, self.sink.w, self.sink.c)
        value = np.broadcast_to(self.source.interior(inputs[0]), shape)
        return [self.sink.place(apply_steps(self.steps, value, inputs[1:]))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels and vectors of channels."""
        sink = self.sink
        with emit(self.args, target) as e:
            clear_border(e, sink, e.args[-1])
            with e.loop(sink.n) as n, e.parallel(sink.h) as y, e.loop(sink.w) as x:
                lanes = e.lanes_of(self.source.dtype)
                e.each_vector(self._channels, lambda c, count: self._vector(e, (n, y, x, c), count), lanes)
        return e.function

    @property
    def _channels(self) -> int:
        """Channels to write: images of unlike types differ in what they have in memory."""
        return self.sink.channels if self.source.c == 1 else min(self.source.channels, self.sink.channels)

    def _vector(self, e: Emitter, at: tuple[Expr, Expr, Expr, Expr], lanes: int) -> None:
        n, y, x, c = at
        value = read(e, self.source, e.args[0], at, lanes)
        value = emit_steps(e, self.steps, e.args[1:-1], value, at, lanes=lanes)
        e.store(e.args[-1], value, n, y + self.sink.border, x + self.sink.border, c, lanes=lanes)
