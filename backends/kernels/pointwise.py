"""Element-wise operators on dense tensors of any types that broadcast in any way: comparisons, logic, choice, casts."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Operator:
    """An operator on vectors of TIR (first argument: TVM's builder) and on numpy arrays.

    Attributes:
        result: type of the result where it is not that of the last operand.
    """

    emit: Callable[..., Expr]
    apply: Callable[..., np.ndarray]
    result: str = ""


def _truncated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    quotient = a // b
    return np.asarray(quotient + ((quotient < 0) & (quotient * b != a)))


OPERATORS = {
    "add": Operator(lambda _, *x: reduce(lambda a, b: a + b, x), lambda *x: reduce(np.add, x)),
    "subtract": Operator(lambda _, a, b: a - b, np.subtract),
    "multiply": Operator(lambda _, a, b: a * b, np.multiply),
    "divide": Operator(lambda _, a, b: a / b, np.divide),
    "quotient": Operator(lambda t, a, b: t.truncdiv(a, b), _truncated),
    "modulo": Operator(lambda t, a, b: t.floormod(a, b), np.mod),
    "maximum": Operator(lambda t, *x: reduce(t.max, x), lambda *x: reduce(np.maximum, x)),
    "minimum": Operator(lambda t, *x: reduce(t.min, x), lambda *x: reduce(np.minimum, x)),
    "equal": Operator(lambda t, a, b: t.EQ(a, b), np.equal, "bool"),
    "less": Operator(lambda t, a, b: t.LT(a, b), np.less, "bool"),
    "less-or-equal": Operator(lambda t, a, b: t.LE(a, b), np.less_equal, "bool"),
    "greater": Operator(lambda t, a, b: t.LT(b, a), np.greater, "bool"),
    "greater-or-equal": Operator(lambda t, a, b: t.LE(b, a), np.greater_equal, "bool"),
    "and": Operator(lambda t, a, b: t.And(a, b), np.logical_and),
    "or": Operator(lambda t, a, b: t.Or(a, b), np.logical_or),
    "xor": Operator(lambda t, a, b: t.And(t.Or(a, b), t.Not(t.And(a, b))), np.logical_xor),
    "not": Operator(lambda t, a: t.Not(a), np.logical_not),
    "where": Operator(lambda t, condition, a, b: t.Select(condition, a, b), np.where),
    "cast": Operator(lambda _, a: a, lambda a: a),
}
"""`quotient` is that of integers, rounded towards zero; `cast` is what every result undergoes."""


@dataclass(frozen=True)
class Pointwise(Kernel):
    """`sink = operator(sources…)`; the sources have the sink's rank and are broadcast along axes of extent 1."""

    operator: str
    sources: tuple[Spec, ...]
    sink: Spec
    family: ClassVar[str] = "pointwise"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Sources, sink."""
        return (*self.sources, self.sink)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Apply, cast, broadcast."""
        value = OPERATORS[self.operator].apply(*inputs)
        return [np.broadcast_to(value, self.sink.shape).astype(self.sink.dtype)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop nest over the sink; vectors along the last axis."""
        *outer, last = self.sink.shape
        with emit(self.args, target) as e, ExitStack() as stack:
            place = [stack.enter_context(e.loop(extent)) for extent in outer]

            def compute(c: Expr, lanes: int) -> None:
                buffers = zip(e.args, self.sources, strict=False)
                operands = [_read(e, buffer, spec, (*place, c), lanes) for buffer, spec in buffers]
                value = self._cast(e, OPERATORS[self.operator].emit(e.T, *operands), lanes)
                e.store(e.args[-1], value, *place, c, lanes=lanes)

            e.each_vector(last, compute, e.lanes * 4 // min(np.dtype(spec.dtype).itemsize for spec in self.args))
        return e.function

    def _cast(self, e: Emitter, value: Expr, lanes: int) -> Expr:
        """Return `value` in the sink's type; what is not zero is true."""
        made, wanted = OPERATORS[self.operator].result or self.sources[-1].dtype, self.sink.dtype
        if made == wanted:
            return value
        if wanted == "bool":
            return e.T.NE(value, e.splat(e.zero(made), lanes))
        return e.T.Cast(wanted if lanes == 1 else f"{wanted}x{lanes}", value)


def _read(e: Emitter, buffer: Expr, spec: Spec, place: Sequence[Expr], lanes: int) -> Expr:
    at = [0 if extent == 1 else i for extent, i in zip(spec.shape, place, strict=True)]
    if spec.shape[-1] == 1:
        return e.splat(e.load(buffer, *at), lanes)
    return e.load(buffer, *at, lanes=lanes)
