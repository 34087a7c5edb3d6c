"""Epilogues: what is computed on a kernel's result while it is still in registers, as a tuple of steps.

A step is a frozen dataclass (so that it is part of the kernel's identity) that can emit itself on a vector of
neighbouring channels and apply itself to a numpy array `[n, h, w, c]`. A step that reads a second tensor declares it as
`operand`; the kernel then takes one more argument of that layout, and reads it at the pixel it is about to write, with
axes of extent 1 broadcast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.emit import Emitter, Expr
from galen.backends.kernels.functions import FUNCTIONS, Arithmetic, Arrays, Number, Vectors

SIMPLE = frozenset(("affine", "clip", "leaky-relu", "square"))
"""Functions that take their constants as parameters only, so that fp16 numbers meet no others."""


class Step(Protocol):
    """One element-wise operation."""

    @property
    def operand(self) -> Image | None:
        """Layout of the second tensor, if there is one."""

    def emit(self, e: Emitter, value: Expr, operand: Expr | None, lanes: int) -> Expr:
        """Return the expression of the result for a vector `value`."""

    def apply(self, value: np.ndarray, operand: np.ndarray | None) -> np.ndarray:
        """Return the result in numpy; `operand` is `[n, h, w, c]` or broadcasts to it."""


@dataclass(frozen=True)
class Activation:
    """An element-wise function of `functions.FUNCTIONS`, with its parameters."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0

    @property
    def operand(self) -> None:
        """None: an activation reads nothing else."""

    def emit(self, e: Emitter, value: Expr, operand: Expr | None, lanes: int) -> Expr:
        """Return the function of the vector `value`; what is no simple arithmetic is computed in fp32."""
        dtype = e.type_of(value)
        if dtype == "float32":
            return FUNCTIONS[self.name](Vectors(e, lanes), value, self.alpha, self.beta)
        if self.name == "relu":
            return e.T.max(value, e.splat(0.0, lanes, dtype))
        if self.name in SIMPLE:
            largest = float(np.finfo(dtype).max)
            alpha, beta = (e.splat(min(max(x, -largest), largest), lanes, dtype) for x in (self.alpha, self.beta))
            return FUNCTIONS[self.name](Vectors(e, lanes), value, alpha, beta)
        wide = self.emit(e, e.let(e.cast(value, "float32", lanes)), operand, lanes)
        return e.cast(wide, dtype, lanes)

    def apply(self, value: np.ndarray, operand: np.ndarray | None) -> np.ndarray:  # noqa: ARG002
        """Return the function of every element."""
        return np.asarray(FUNCTIONS[self.name](Arrays(), value, self.alpha, self.beta), np.float32)


@dataclass(frozen=True)
class Convert:
    """From fp32 to fp16 or back; the steps after it compute in that type."""

    dtype: str

    @property
    def operand(self) -> None:
        """None: nothing else is read."""

    def emit(self, e: Emitter, value: Expr, operand: Expr | None, lanes: int) -> Expr:  # noqa: ARG002
        """Return the vector `value` in the other type."""
        return e.cast(value, self.dtype, lanes)

    def apply(self, value: np.ndarray, operand: np.ndarray | None) -> np.ndarray:  # noqa: ARG002
        """Return what remains of the numbers."""
        return value.astype(self.dtype).astype(np.float32)


BinaryName = Literal["add", "sub", "rsub", "mul", "div", "rdiv", "max", "min", "prelu"]


@dataclass(frozen=True)
class Binary:
    """`value <name> operand`; `rsub` and `rdiv` have the operand on the left, `prelu` scales negative values by it."""

    name: BinaryName
    operand: Image

    def emit(self, e: Emitter, value: Expr, operand: Expr | None, lanes: int) -> Expr:
        """Return the vector result."""
        return self._combine(Vectors(e, lanes), value, operand)

    def apply(self, value: np.ndarray, operand: np.ndarray | None) -> np.ndarray:
        """Return the result in numpy."""
        return np.asarray(self._combine(Arrays(), value, operand), np.float32)

    def _combine(self, m: Arithmetic, value: Number, operand: Number) -> Number:
        return {
            "add": lambda: value + operand,
            "sub": lambda: value - operand,
            "rsub": lambda: operand - value,
            "mul": lambda: value * operand,
            "div": lambda: value / operand,
            "rdiv": lambda: operand / value,
            "max": lambda: m.maximum(value, operand),
            "min": lambda: m.minimum(value, operand),
            "prelu": lambda: m.where(value < 0.0, value * operand, value),
        }[self.name]()


def operands(steps: Sequence[Step]) -> tuple[Spec, ...]:
    """Return the buffers that `steps` read, in order: the last inputs of a kernel with this epilogue."""
    return tuple(step.operand.spec for step in steps if step.operand)


def emit_steps(
    e: Emitter, steps: Sequence[Step], buffers: Sequence[Expr], value: Expr, at: tuple[Expr, ...], *, lanes: int
) -> Expr:
    """Return `value` after all steps; `buffers` are their operands and `at` is the pixel `(n, y, x, c)`."""
    remaining = iter(buffers)
    for step in steps:
        operand = None
        if step.operand:
            operand = read(e, step.operand, next(remaining), at, lanes)
        value = step.emit(e, value, operand, lanes)
    return value


def apply_steps(steps: Sequence[Step], value: np.ndarray, buffers: Sequence[np.ndarray]) -> np.ndarray:
    """Return `value` `[n, h, w, c]` after all steps in numpy."""
    remaining = iter(buffers)
    for step in steps:
        value = step.apply(value, step.operand.interior(next(remaining)) if step.operand else None)
    return value


def read(e: Emitter, image: Image, buffer: Expr, at: tuple[Expr, ...], lanes: int) -> Expr:
    """Return `lanes` channels of `image` at pixel `(n, y, x, c)`; axes of extent 1 are broadcast."""
    n, y, x, c = (0 if extent == 1 else i for extent, i in zip((image.n, image.h, image.w, image.c), at, strict=True))
    if image.c == 1:
        return e.splat(e.load(buffer, n, y + image.border, x + image.border, 0), lanes)
    return e.load(buffer, n, y + image.border, x + image.border, c, lanes=lanes)
