"""Padding of dense tensors."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.border import fill
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

Mode = Literal["constant", "edge", "reflect", "wrap"]


@dataclass(frozen=True)
class Pad(Kernel):
    """`before` and `after` elements more along every axis (fewer where negative, in mode `constant`).

    Attributes:
        mode: what they are, named as in ONNX; `reflect` and `wrap` have fewer of them than there are elements.
        value: of a constant.
    """

    shape: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    mode: Mode = "constant"
    value: float = 0.0
    dtype: str = "float32"
    family: ClassVar[str] = "pad"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, sink."""
        wide = tuple(map(sum, zip(self.before, self.shape, self.after, strict=True)))
        return (Spec(self.shape, self.dtype), Spec(wide, self.dtype))

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Cut, then pad."""
        cuts = tuple(
            slice(max(-b, 0), n + min(a, 0)) for b, n, a in zip(self.before, self.shape, self.after, strict=True)
        )
        width = [(max(b, 0), max(a, 0)) for b, a in zip(self.before, self.after, strict=True)]
        if self.mode == "constant":
            return [np.pad(inputs[0][cuts], width, constant_values=np.asarray(self.value, self.dtype))]
        return [np.pad(inputs[0], width, self.mode)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop nest over what is copied, in vectors along the last axis, and the padding before or beside."""
        with emit(self.args, target) as e, ExitStack() as stack:
            if self.mode == "constant":
                self._fill(e)
                axes = zip(self.before, self.shape, self.after, strict=True)
                *outer, last = [n + min(b, 0) + min(a, 0) for b, n, a in axes]
                place = [stack.enter_context(e.loop(extent)) for extent in outer]
                read = [i + max(-b, 0) for i, b in zip(place, self.before, strict=False)]
                write = [i + max(b, 0) for i, b in zip(place, self.before, strict=False)]
                self._copy(e, read, write, last)
            else:
                write = [stack.enter_context(e.loop(extent)) for extent in self.args[1].shape[:-1]]
                read = [self._origin(e, axis, i) for axis, i in enumerate(write)]
                self._copy(e, read, write, self.shape[-1])
                for start, count in ((0, self.before[-1]), (self.before[-1] + self.shape[-1], self.after[-1])):
                    with e.loop(count) as i:
                        at = self._origin(e, len(read), start + i)
                        e.store(e.args[1], e.load(e.args[0], *read, at), *write, start + i)
        return e.function

    def _fill(self, e: Emitter) -> None:
        """Let the whole sink be the constant."""
        size = prod(self.args[1].shape)
        constant = e.T.FloatImm if "float" in self.dtype else e.T.IntImm
        fill(e, e.flat(e.args[1], size), 0, size, constant(self.dtype, self.value))

    def _copy(self, e: Emitter, read: Sequence[Expr], write: Sequence[Expr], count: int) -> None:
        """Copy `count` elements of a row."""
        before, (source, sink) = self.before[-1], e.args

        def copy(c: Expr, lanes: int) -> None:
            value = e.load(source, *read, max(-before, 0) + c, lanes=lanes)
            e.store(sink, value, *write, max(before, 0) + c, lanes=lanes)

        e.each_vector(count, copy, e.lanes * 4 // np.dtype(self.dtype).itemsize)

    def _origin(self, e: Emitter, axis: int, i: Expr) -> Expr:
        """Return the index in the source of element `i` of the sink along `axis`."""
        before, extent, after = self.before[axis], self.shape[axis], self.after[axis]
        if before == after == 0:
            return i
        at, last = i - before, extent - 1
        if self.mode == "edge":
            return e.let(e.T.max(e.T.min(at, last), 0))
        if self.mode == "wrap":
            return e.let(e.T.floormod(at + extent, extent))
        forth = e.T.max(at, 0 - at)
        return e.let(e.T.min(forth, 2 * last - forth))
