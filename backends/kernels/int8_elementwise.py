"""Addition and multiplication of two int8 images, with their scales. Formulas in `galen.backends.integer`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.requantize import LIMITS, TERMS, Sum, add, narrow
from galen.backends.kernels.simd import smull16
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

VECTOR = 16


@dataclass(frozen=True)
class Int8Add(Kernel):
    """`y = clip(rint(fma(a, ra, fma(b, rb, offset))))`. Arguments: two images, `TERMS`, limits, sum.

    An image of one pixel is added to all.
    """

    left: Image
    right: Image
    sink: Image
    family: ClassVar[str] = "int8-add"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Images, terms, limits, sum."""
        return self.left.spec, self.right.spec, TERMS, LIMITS, self.sink.spec

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Add in numpy."""
        left, right, term, limits = inputs
        value = add(self.left.interior(left), self.right.interior(right), term, limits)
        return [self.sink.place(value, limits[0])]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels and vectors of channels."""
        with emit(self.args, target) as e:
            left, right, term, limits, out = e.args
            sink, lanes = self.sink, 4 if e.arm else VECTOR
            total = Sum(e, term, lanes)
            bounds = [e.let(e.load(limits, i)) for i in range(3)]
            clear_border(e, sink, out, e.T.Cast("int8", bounds[0]))
            with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x, e.loop(sink.channels // VECTOR) as c:
                at = (n, y, x, c * VECTOR)
                pairs = zip(read(e, self.left, left, at), read(e, self.right, right, at), strict=True)
                result = narrow(e, [total.of(a, b) for a, b in pairs], lanes, (total.back, *bounds[1:]))
                e.store(out, result, n, y + sink.border, x + sink.border, c * VECTOR, lanes=VECTOR)
        return e.function


PRODUCT = Spec((4,), "int32")
"""Zero points of the factors' int8, the graph's zero point of the product, and 0, which the compiler must not know."""


@dataclass(frozen=True)
class Int8Mul(Kernel):
    """`y = clip(rint((a - a_zero) * (b - b_zero) * s + zero))`. Arguments: two images, `PRODUCT`, s, limits, product.

    An image of one pixel multiplies all. Product and sum are rounded one after the other; the compiler would make one
    `fma` of them, were the product not an `fma` itself.
    """

    left: Image
    right: Image
    sink: Image
    family: ClassVar[str] = "int8-mul"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Images, zero points, s, limits, product."""
        return self.left.spec, self.right.spec, PRODUCT, Spec((1,), "float32"), LIMITS, self.sink.spec

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Multiply in numpy."""
        left, right, (a_zero, b_zero, y_zero, _), scale, (zero, low, high) = inputs
        a = self.left.interior(left).astype(np.int32) - a_zero
        value = (a * (self.right.interior(right).astype(np.int32) - b_zero)).astype(np.float32) * scale
        rounded = np.rint(value + np.float32(y_zero)) - y_zero + zero
        return [self.sink.place(np.clip(rounded, low, high), zero)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over pixels and vectors of channels."""
        with emit(self.args, target) as e:
            left, right, zeros, scale, limits, out = e.args
            sink, lanes = self.sink, 4 if e.arm else VECTOR

            bounds = [e.let(e.load(limits, i)) for i in range(3)]
            sides = [
                _Factor(e, *side, e.load(zeros, i)) for i, side in enumerate(((self.left, left), (self.right, right)))
            ]
            y_zero, nothing = (e.splat(e.let(e.T.Cast("float32", e.load(zeros, i))), lanes) for i in (2, 3))
            factor, back = e.splat(e.let(e.load(scale, 0)), lanes), e.let(bounds[0] - e.load(zeros, 2))
            clear_border(e, sink, out, e.T.Cast("int8", bounds[0]))
            with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x, e.loop(sink.channels // VECTOR) as c:
                a, b = (side.read((n, y, x, c * VECTOR)) for side in sides)
                products = [e.T.Cast(f"float32x{lanes}", product) for product in _multiplied(e, a, b)]
                values = [e.T.fma(p, factor, nothing) + y_zero for p in products]
                result = narrow(e, values, lanes, (back, *bounds[1:]))
                e.store(out, result, n, y + sink.border, x + sink.border, c * VECTOR, lanes=VECTOR)
        return e.function


class _Factor:
    """An image less its zero point."""

    def __init__(self, e: Emitter, image: Image, buffer: Expr, zero: Expr) -> None:
        self.e, self.image, self.buffer = e, image, buffer
        self.zero = e.T.broadcast(e.let(e.T.Cast("int16", zero)), VECTOR)

    def read(self, at: tuple[Expr, Expr, Expr, Expr]) -> Expr:
        """Return 16 channels of a pixel, int16."""
        return self.e.let(self.e.T.Cast(f"int16x{VECTOR}", _bytes(self.e, self.image, self.buffer, at)) - self.zero)


def _multiplied(e: Emitter, a: Expr, b: Expr) -> list[Expr]:
    """Return the products of 16 int16 as int32, in vectors of the target."""
    if e.arm:
        return [smull16(e, e.part(a, i, 4, VECTOR), e.part(b, i, 4, VECTOR)) for i in range(0, VECTOR, 4)]
    wide = f"int32x{VECTOR}"
    return [e.T.Cast(wide, a) * e.T.Cast(wide, b)]


def read(e: Emitter, image: Image, buffer: Expr, at: tuple[Expr, Expr, Expr, Expr]) -> list[Expr]:
    """Return 16 channels of a pixel as int32, in vectors of the target; a single pixel stands for all."""
    lanes = 4 if e.arm else VECTOR
    wide = e.let(e.T.Cast(f"int16x{VECTOR}", _bytes(e, image, buffer, at)))
    return [e.T.Cast(f"int32x{lanes}", e.part(wide, i, lanes, VECTOR)) for i in range(0, VECTOR, lanes)]


def _bytes(e: Emitter, image: Image, buffer: Expr, at: tuple[Expr, Expr, Expr, Expr]) -> Expr:
    n, y, x, c = at
    n, y, x = (0 if extent == 1 else i for i, extent in ((n, image.n), (y, image.h), (x, image.w)))
    return e.let(e.load(buffer, n, y + image.border, x + image.border, c, lanes=VECTOR))
