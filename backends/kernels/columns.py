"""Operators along an axis that is not the last one, in vectors of the axes behind it: softmax and running sums."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.functions import Vectors
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

WIDE = 2
"""Vectors of columns that are computed side by side."""


@dataclass(frozen=True)
class ColumnSoftmax(Kernel):
    """`exp(x - max) / sum` along the middle axis of `[outer, extent, inner]`."""

    shape: tuple[int, int, int]
    family: ClassVar[str] = "softmax"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, sink."""
        return (Spec(self.shape, "float32"),) * 2

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Compute in double precision."""
        x = inputs[0].astype(np.float64)
        powers = np.exp(x - x.max(1, keepdims=True))
        return [(powers / powers.sum(1, keepdims=True)).astype(np.float32)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return three passes down some columns at a time: maximum, powers and their sum, division."""
        outer, _, inner = self.shape
        with emit(self.args, target) as e, e.loop(outer) as o:
            e.each_vector(inner, lambda c, lanes: self._columns(e, o, c, lanes), WIDE * e.lanes)
        return e.function

    def _columns(self, e: Emitter, o: Expr, c: Expr, lanes: int) -> None:
        (source, sink), extent = e.args, self.shape[1]
        (top,), (total,) = e.registers(1, lanes), e.registers(1, lanes)
        top.set(e.load(source, o, 0, c, lanes=lanes))
        with e.loop(extent) as k:
            top.set(e.T.max(top.value, e.load(source, o, k, c, lanes=lanes)))
        total.set(e.splat(0.0, lanes))
        with e.loop(extent) as k:
            power = e.let(Vectors(e, lanes).exp(e.load(source, o, k, c, lanes=lanes) - top.value))
            total.set(total.value + power)
            e.store(sink, power, o, k, c, lanes=lanes)
        scale = e.let(e.splat(1.0, lanes) / total.value)
        with e.loop(extent) as k:
            e.store(sink, e.load(sink, o, k, c, lanes=lanes) * scale, o, k, c, lanes=lanes)


@dataclass(frozen=True)
class RunningSum(Kernel):
    """Sums along the middle axis of `[outer, extent, inner]` up to every element.

    Attributes:
        exclusive: the element itself does not count.
        reverse: from the last element on.
    """

    shape: tuple[int, int, int]
    dtype: str
    exclusive: bool = False
    reverse: bool = False
    family: ClassVar[str] = "running-sum"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, sink."""
        return (Spec(self.shape, self.dtype),) * 2

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Add up, in double precision where there is a choice."""
        x = inputs[0] if "int" in self.dtype else inputs[0].astype(np.float64)
        x = x[:, ::-1] if self.reverse else x
        total = x.cumsum(1) - x if self.exclusive else x.cumsum(1)
        return [(total[:, ::-1] if self.reverse else total).astype(self.dtype)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop down some columns at a time."""
        outer, _, inner = self.shape
        with emit(self.args, target) as e, e.loop(outer) as o:
            lanes = e.lanes * 4 // np.dtype(self.dtype).itemsize
            e.each_vector(inner, lambda c, n: self._columns(e, o, c, n), lanes)
        return e.function

    def _columns(self, e: Emitter, o: Expr, c: Expr, lanes: int) -> None:
        (source, sink), extent = e.args, self.shape[1]
        (total,) = e.registers(1, lanes, self.dtype)
        total.set(e.splat(e.zero(self.dtype), lanes))
        with e.loop(extent) as k:
            row = extent - 1 - k if self.reverse else k
            after = e.let(total.value + e.load(source, o, row, c, lanes=lanes))
            e.store(sink, total.value if self.exclusive else after, o, row, c, lanes=lanes)
            total.set(after)
