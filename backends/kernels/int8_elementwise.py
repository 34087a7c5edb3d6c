"""Addition and multiplication of two int8 images, with their scales. Formulas in `galen.backends.integer`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.kernels.requantize import LIMITS, TERMS, Sum, add, narrow
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
            a_zero, b_zero, y_zero, nothing = (e.T.broadcast(e.let(e.load(zeros, i)), lanes) for i in range(4))
            y_zero, nothing = (e.let(e.T.Cast(f"float32x{lanes}", v)) for v in (y_zero, nothing))
            factor, back = e.splat(e.let(e.load(scale, 0)), lanes), e.let(bounds[0] - e.load(zeros, 2))
            clear_border(e, sink, out, e.T.Cast("int8", bounds[0]))
            with e.loop(sink.n) as n, e.loop(sink.h) as y, e.loop(sink.w) as x, e.loop(sink.channels // VECTOR) as c:
                at = (n, y, x, c * VECTOR)
                pairs = zip(read(e, self.left, left, at), read(e, self.right, right, at), strict=True)
                products = [e.T.Cast(f"float32x{lanes}", (a - a_zero) * (b - b_zero)) for a, b in pairs]
                values = [e.T.fma(p, factor, nothing) + y_zero for p in products]
                result = narrow(e, values, lanes, (back, *bounds[1:]))
                e.store(out, result, n, y + sink.border, x + sink.border, c * VECTOR, lanes=VECTOR)
        return e.function


def read(e: Emitter, image: Image, buffer: Expr, at: tuple[Expr, Expr, Expr, Expr]) -> list[Expr]:
    """Return 16 channels of a pixel as int32, in vectors of the target; a single pixel stands for all."""
    n, y, x, c = at
    n, y, x = (0 if extent == 1 else i for i, extent in ((n, image.n), (y, image.h), (x, image.w)))
    bytes_ = e.let(e.load(buffer, n, y + image.border, x + image.border, c, lanes=VECTOR))
    lanes = 4 if e.arm else VECTOR
    wide = e.let(e.T.Cast(f"int32x{VECTOR}", bytes_))
    return [e.part(wide, i, lanes, VECTOR) for i in range(0, VECTOR, lanes)]
