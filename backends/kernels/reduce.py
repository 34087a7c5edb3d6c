"""Reductions of dense tensors over any axes."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, emit, pieces
from galen.backends.kernels.functions import FUNCTIONS, Arrays, Vectors
from galen.backends.kernels.pointwise import OPERATORS
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

Term = Callable[[Expr, int], Expr]
"""What is combined, of a vector of so many lanes."""
Place = dict[int, Expr]
"""Index of every axis."""
WIDE = 4
"""Vectors that are accumulated side by side, so that an addition need not wait for the one before."""
LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class Reduction:
    """`finish(combine of term(x) over all x)`.

    Attributes:
        combine: an operator of `pointwise.OPERATORS`.
        empty: the combination of no terms.
        term, finish: of `functions.FUNCTIONS`; the parameter of `finish` is 1 / the number of terms.
    """

    combine: str
    empty: float
    term: str = ""
    finish: str = ""


Fold = Callable[[Reduction, Term], Expr]
"""Combines the terms of all elements."""

REDUCTIONS = {
    "sum": Reduction("add", 0.0),
    "mean": Reduction("add", 0.0, "", "affine"),
    "l1": Reduction("add", 0.0, "abs"),
    "l2": Reduction("add", 0.0, "square", "sqrt"),
    "sum-square": Reduction("add", 0.0, "square"),
    "log-sum": Reduction("add", 0.0, "", "log"),
    "prod": Reduction("multiply", 1.0),
    "max": Reduction("maximum", -np.inf),
    "min": Reduction("minimum", np.inf),
}
LOG_SUM_EXP = "log-sum-exp"
"""The only one that takes two passes: `max + log(sum(exp(x - max)))`."""


@dataclass(frozen=True)
class Reduce(Kernel):
    """The reduction `kind` over the axes `reduced`; of integers where it has neither `term` nor `finish`."""

    kind: str
    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    dtype: str = "float32"
    family: ClassVar[str] = "reduce"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Source, and of it the axes that are kept."""
        return (Spec(self.shape, self.dtype), Spec(tuple(self.shape[axis] for axis in self._kept), self.dtype))

    @property
    def _kept(self) -> list[int]:
        return [axis for axis in range(len(self.shape)) if axis not in self.reduced]

    @property
    def _share(self) -> float:
        return 1 / prod(self.shape[axis] for axis in self.reduced)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Reduce in double precision."""
        x = inputs[0] if "int" in self.dtype else inputs[0].astype(np.float64)
        if self.kind == LOG_SUM_EXP:
            top = x.max(self.reduced, keepdims=True)
            value = np.log(np.exp(x - top).sum(self.reduced)) + top.squeeze(self.reduced)
        else:
            how = REDUCTIONS[self.kind]
            terms = FUNCTIONS[how.term](Arrays(), x, 0, 0) if how.term else x
            value = getattr(np, how.combine).reduce(terms, self.reduced)
            value = FUNCTIONS[how.finish](Arrays(), value, self._share, 0.0) if how.finish else value
        return [np.asarray(value, self.dtype)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return loops over what is kept around those over what is reduced; vectors along the last axis either way."""
        with emit(self.args, target) as e, ExitStack() as stack:
            last = len(self.shape) - 1
            place = {axis: stack.enter_context(e.loop(self.shape[axis])) for axis in self._kept if axis != last}

            def column(c: Expr, lanes: int) -> None:
                value = self._value(e, lanes, lambda how, term: self._down(e, {**place, last: c}, lanes, how, term))
                e.store(e.args[1], value, *place.values(), c, lanes=lanes)

            if last in self.reduced:
                value = self._value(e, 1, lambda how, term: self._across(e, place, how, term))
                e.store(e.args[1], value, *place.values())
            else:
                e.each_vector(self.shape[last], column, self._wide(e))
        return e.function

    def _value(self, e: Emitter, lanes: int, fold: Fold) -> Expr:
        """Return the reduction of `lanes` columns, or of one row, over whose elements `fold` walks."""
        m = Vectors(e, lanes)
        if self.kind == LOG_SUM_EXP:
            top = e.let(m.maximum(fold(REDUCTIONS["max"], _same), LOWEST))

            def power(x: Expr, n: int) -> Expr:
                return Vectors(e, n).exp(x - (top if n == lanes else e.splat(top, n)))

            return m.log(e.let(fold(REDUCTIONS["sum"], power))) + top
        how = REDUCTIONS[self.kind]
        value = e.let(fold(how, lambda x, n: FUNCTIONS[how.term](Vectors(e, n), x, 0, 0) if how.term else x))
        return FUNCTIONS[how.finish](m, value, self._share, 0.0) if how.finish else value

    def _down(self, e: Emitter, place: Place, lanes: int, how: Reduction, term: Term) -> Expr:
        """Combine every one of `lanes` columns."""
        (total,) = e.registers(1, lanes, self.dtype)
        total.set(self._empty(e, how, lanes))
        with ExitStack() as stack:
            inner = {axis: stack.enter_context(e.loop(self.shape[axis])) for axis in self.reduced}
            total.set(_combined(e, how, total.value, term(self._load(e, place | inner, lanes), lanes)))
        return total.value

    def _across(self, e: Emitter, place: Place, how: Reduction, term: Term) -> Expr:
        """Combine rows: vectors of them at first, in the end the elements of the vectors."""
        *outer, last = self.reduced
        whole, rest = divmod(self.shape[last], self._wide(e))
        start = self.shape[last] - rest
        parts = [(0, self._wide(e), whole)] if whole else []
        parts += [(start + at, lanes, 1) for at, lanes in pieces(rest, self._wide(e))]
        totals = [e.registers(1, lanes, self.dtype)[0] for _, lanes, _ in parts]
        for total, (_, lanes, _) in zip(totals, parts, strict=True):
            total.set(self._empty(e, how, lanes))
        with ExitStack() as stack:
            inner = {axis: stack.enter_context(e.loop(self.shape[axis])) for axis in outer}
            for total, (first, lanes, count) in zip(totals, parts, strict=True):
                with e.loop(count) as i:
                    x = self._load(e, place | inner | {last: first + i * lanes}, lanes)
                    total.set(_combined(e, how, total.value, term(x, lanes)))
        elements = [_folded(e, how, t.value, lanes) for t, (_, lanes, _) in zip(totals, parts, strict=True)]
        return reduce(lambda a, b: _combined(e, how, a, b), elements)

    def _load(self, e: Emitter, place: Place, lanes: int) -> Expr:
        return e.let(e.load(e.args[0], *(place[axis] for axis in range(len(self.shape))), lanes=lanes))

    def _empty(self, e: Emitter, how: Reduction, lanes: int) -> Expr:
        if "int" not in self.dtype:
            return e.splat(how.empty, lanes)
        limits = np.iinfo(self.dtype)
        return e.splat(e.T.IntImm(self.dtype, int(np.clip(how.empty, limits.min, limits.max))), lanes)

    def _wide(self, e: Emitter) -> int:
        return WIDE * e.lanes * 4 // np.dtype(self.dtype).itemsize


def _same(x: Expr, _lanes: int) -> Expr:
    return x


def _combined(e: Emitter, how: Reduction, a: Expr, b: Expr) -> Expr:
    return OPERATORS[how.combine].emit(e.T, a, b)


def _folded(e: Emitter, how: Reduction, vector: Expr, lanes: int) -> Expr:
    """Return the combination of a vector's elements, half with half."""
    while lanes > 1:
        lanes //= 2
        vector = e.let(_combined(e, how, *(e.part(vector, start, lanes, 2 * lanes) for start in (0, lanes))))
    return vector
