"""Operators along the last axis of a dense tensor: softmax and layer normalisation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, Register, emit, pieces
from galen.backends.kernels.functions import Vectors
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Softmax(Kernel):
    """`exp(x - max) / sum` of every row. Arguments: rows, rows."""

    rows: int
    columns: int
    family: ClassVar[str] = "softmax"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Input `[rows, columns]`, output alike."""
        return (Spec((self.rows, self.columns), "float32"),) * 2

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Compute in double precision."""
        x = inputs[0].astype(np.float64)
        powers = np.exp(x - x.max(-1, keepdims=True))
        return [(powers / powers.sum(-1, keepdims=True)).astype(np.float32)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return three passes over every row: maximum, powers and their sum, division."""
        with emit(self.args, target) as e:
            source, sink = e.args
            with e.loop(self.rows) as row:
                top = e.let(_reduce(e, self.columns, e.T.max, lambda c, n: e.load(source, row, c, lanes=n)))

                def power(c: Expr, lanes: int) -> Expr:
                    value = e.let(Vectors(e, lanes).exp(e.load(source, row, c, lanes=lanes) - e.splat(top, lanes)))
                    e.store(sink, value, row, c, lanes=lanes)
                    return value

                scale = e.let(e.splat(1.0, 1) / _reduce(e, self.columns, _add, power))

                def divide(c: Expr, lanes: int) -> None:
                    e.store(sink, e.load(sink, row, c, lanes=lanes) * e.splat(scale, lanes), row, c, lanes=lanes)

                e.each_vector(self.columns, divide)
        return e.function


@dataclass(frozen=True)
class LayerNorm(Kernel):
    """Layer normalisation of every row (Ba et al. 2016). Arguments: rows, scale, bias, rows."""

    rows: int
    columns: int
    epsilon: float
    family: ClassVar[str] = "layer-norm"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Input `[rows, columns]`, scale and bias `[columns]`, output."""
        rows, vector = Spec((self.rows, self.columns), "float32"), Spec((self.columns,), "float32")
        return (rows, vector, vector, rows)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Compute in double precision."""
        x, scale, bias = (array.astype(np.float64) for array in inputs)
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)
        return [(centred / deviation * scale + bias).astype(np.float32)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return three passes over every row: mean, variance, result."""
        with emit(self.args, target) as e:
            source, scale, bias, sink = e.args
            share = e.splat(1.0 / self.columns, 1)
            with e.loop(self.rows) as row:
                total = _reduce(e, self.columns, _add, lambda c, n: e.load(source, row, c, lanes=n))
                mean = e.let(total * share)

                def centred(c: Expr, lanes: int) -> Expr:
                    return e.let(e.load(source, row, c, lanes=lanes) - e.splat(mean, lanes))

                def square(c: Expr, lanes: int) -> Expr:
                    value = centred(c, lanes)
                    return value * value

                variance = _reduce(e, self.columns, _add, square) * share
                factor = e.let(e.splat(1.0, 1) / e.T.sqrt(variance + e.splat(self.epsilon, 1)))

                def finish(c: Expr, lanes: int) -> None:
                    value = centred(c, lanes) * e.splat(factor, lanes) * e.load(scale, c, lanes=lanes)
                    e.store(sink, value + e.load(bias, c, lanes=lanes), row, c, lanes=lanes)

                e.each_vector(self.columns, finish)
        return e.function


def _add(a: Expr, b: Expr) -> Expr:
    return a + b


def _reduce(
    e: Emitter, columns: int, combine: Callable[[Expr, Expr], Expr], value: Callable[[Expr, int], Expr]
) -> Expr:
    """Return the scalar combination of `value(column, lanes)` over all columns."""
    whole = columns // e.lanes
    parts: list[Expr] = []
    if whole:
        (total,) = e.registers(1, e.lanes)
        total.set(value(0, e.lanes))
        if whole > 1:
            with e.loop(whole - 1) as c:
                total.set(combine(total.value, value((c + 1) * e.lanes, e.lanes)))
        parts += _elements(e, total, e.lanes)
    for c, lanes in pieces(columns - whole * e.lanes, e.lanes):
        (rest,) = e.registers(1, lanes)
        rest.set(value(whole * e.lanes + c, lanes))
        parts += _elements(e, rest, lanes)
    while len(parts) > 1:
        parts = [combine(*parts[i : i + 2]) if i + 1 < len(parts) else parts[i] for i in range(0, len(parts), 2)]
    return parts[0]


def _elements(e: Emitter, register: Register, lanes: int) -> list[Expr]:
    return [register.value] if lanes == 1 else [e.part(register.value, i, 1, lanes) for i in range(lanes)]
