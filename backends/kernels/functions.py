"""Element-wise functions, written once for vectors of TIR and for numpy arrays.

Each takes the arithmetic (`Vectors` or `Arrays`), the value and two parameters. In TIR exponentials and their like are
polynomials, because the mathematics library has no vectors; in numpy they are exact, which is what the polynomials are
held against.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from galen.backends.kernels.emit import Emitter, Expr

Number = Any
"""A vector expression or an array: both have operators and take Python's floats as constants."""


TINY, HUGE = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""Least and greatest normal number."""


class Arithmetic(Protocol):
    """What the functions need beyond operators."""

    def exp(self, x: Number) -> Number:
        """Return e^x."""

    def erf(self, x: Number) -> Number:
        """Return the error function."""

    def log(self, x: Number) -> Number:
        """Return the natural logarithm."""

    def sin(self, x: Number) -> Number:
        """Return the sine of radians."""

    def cos(self, x: Number) -> Number:
        """Return the cosine of radians."""

    def sign(self, x: Number) -> Number:
        """Return -1, 0 or 1."""

    def floor(self, x: Number) -> Number:
        """Return the next integer below."""

    def ceil(self, x: Number) -> Number:
        """Return the next integer above."""

    def rint(self, x: Number) -> Number:
        """Return the nearest integer, the even one of two."""

    def maximum(self, a: Number, b: Number) -> Number:
        """Return the larger, element by element."""

    def minimum(self, a: Number, b: Number) -> Number:
        """Return the smaller, element by element."""

    def where(self, condition: Number, a: Number, b: Number) -> Number:
        """Return `a` where `condition` holds, else `b`."""

    def sqrt(self, x: Number) -> Number:
        """Return the square root."""


class Arrays:
    """numpy, in double precision where it matters."""

    maximum = staticmethod(np.maximum)
    minimum = staticmethod(np.minimum)
    where = staticmethod(np.where)
    sqrt = staticmethod(np.sqrt)
    log = staticmethod(np.log)
    sign = staticmethod(np.sign)
    floor = staticmethod(np.floor)
    ceil = staticmethod(np.ceil)
    rint = staticmethod(np.rint)

    def sin(self, x: Number) -> Number:
        """Return the sine of radians."""
        return np.sin(np.asarray(x, np.float64))

    def cos(self, x: Number) -> Number:
        """Return the cosine of radians."""
        return np.cos(np.asarray(x, np.float64))

    def exp(self, x: Number) -> Number:
        """Return e^x."""
        return np.exp(np.asarray(x, np.float64))

    def erf(self, x: Number) -> Number:
        """Return the error function."""
        from scipy.special import erf  # noqa: PLC0415

        return erf(np.asarray(x, np.float64))


class Vectors:
    """Vectors of `lanes` fp32 numbers in TIR."""

    def __init__(self, e: Emitter, lanes: int) -> None:
        self._e, self._lanes, self._suffix = e, lanes, "" if lanes == 1 else f"x{lanes}"
        self.maximum, self.minimum, self.where, self.sqrt = e.T.max, e.T.min, e.T.Select, e.T.sqrt
        self.floor, self.ceil, self.rint = e.T.floor, e.T.ceil, e.T.nearbyint

    def exp(self, x: Expr) -> Expr:
        """Return e^x: 2^n times a polynomial on [-ln2/2, ln2/2] (Cephes `expf`), relative error 2e-7."""
        e = self._e
        x = e.let(clip(self, x, -87.3, 88.3))
        n = e.let(e.T.floor(x * 1.44269504 + 0.5))
        r = e.let(x - n * 0.693359375 + n * 2.12194440e-4)
        p = horner(r, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
        exponent = (e.T.Cast(f"int32{self._suffix}", n) + 127) * (1 << 23)
        return (p * (r * r) + r + 1.0) * e.T.reinterpret(f"float32{self._suffix}", exponent)

    def erf(self, x: Expr) -> Expr:
        """Return the error function by Abramowitz and Stegun 7.1.26, absolute error 5e-7 in fp32."""
        a = self._e.let(self.maximum(x, 0.0 - x))
        t = self._e.let(1.0 / (a * 0.3275911 + 1.0))
        p = horner(t, 1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592) * t
        y = self._e.let(1.0 - p * self.exp(0.0 - a * a))
        return self.where(x < 0.0, 0.0 - y, y)

    def log(self, x: Expr) -> Expr:
        """Return the natural logarithm: exponent and a polynomial of the mantissa (Cephes `logf`), relative error 2e-7.

        Numbers below 1.2e-38 count as that; 0 gives -inf, negative numbers NaN.
        """
        e, real, whole = self._e, f"float32{self._suffix}", f"int32{self._suffix}"
        bits = e.let(e.T.reinterpret(whole, self.maximum(x, TINY)))
        half = e.let(e.T.reinterpret(real, (bits & 0x007FFFFF) | 0x3F000000))  # the mantissa in [0.5, 1)
        small = half < 0.70710678
        n = e.let(e.T.Cast(real, (bits >> 23) - 126) - self.where(small, self._constant(1.0), self._constant(0.0)))
        m = e.let(self.where(small, half + half, half) - 1.0)
        p = horner(m, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
                   -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1)  # fmt: skip
        y = p * m * (m * m) - n * 2.12194440e-4 - (m * m) * 0.5
        y = self.where(x > HUGE, x, m + y + n * 0.693359375)
        return self.where(x > 0.0, y, self.where(x < 0.0, self._constant(math.nan), self._constant(-math.inf)))

    def sin(self, x: Expr) -> Expr:
        """Return the sine, absolute error 2e-7 for up to 1000 radians, growing beyond."""
        return self._wave(x, 0.0)

    def cos(self, x: Expr) -> Expr:
        """Return the cosine, as exact as the sine."""
        return self._wave(x, 1.0)

    def _wave(self, x: Expr, turned: float) -> Expr:
        """Return the sine of x and `turned` quarters of a turn, by polynomials on [-pi/4, pi/4] (Cephes `sinf`)."""
        e = self._e
        n = e.let(e.T.floor(x * (2 / math.pi) + 0.5))
        r = e.let(x - n * 1.5703125 - n * 4.83751296997e-4 - n * 7.54978995489e-8)
        z = e.let(r * r)
        sine = horner(z, -1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1) * z * r + r
        cosine = horner(z, 2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2) * (z * z) - z * 0.5 + 1.0
        half = e.let((n + turned) * 0.5)  # its fraction says which function, the parity of its floor which sign
        whole = e.let(e.T.floor(half))
        value = e.let(self.where(half > whole, cosine, sine))
        return self.where(whole * 0.5 > e.T.floor(whole * 0.5), 0.0 - value, value)

    def sign(self, x: Expr) -> Expr:
        """Return -1, 0 or 1."""
        return self.where(x > 0.0, self._constant(1.0), self.where(x < 0.0, self._constant(-1.0), x))

    def _constant(self, value: float) -> Expr:
        return self._e.splat(value, self._lanes)


def horner(x: Number, first: float, *rest: float) -> Number:
    """Return the polynomial with these coefficients, highest power first."""
    value: Number = first
    for coefficient in rest:
        value = value * x + coefficient
    return value


def clip(m: Arithmetic, x: Number, low: float, high: float) -> Number:
    """Return x limited to [low, high]."""
    return m.minimum(m.maximum(x, low), high)


def sigmoid(m: Arithmetic, x: Number) -> Number:
    """Return 1 / (1 + e^-x)."""
    return 1.0 / (m.exp(0.0 - x) + 1.0)


def tanh(m: Arithmetic, x: Number) -> Number:
    """Return 2 sigmoid(2x) - 1."""
    return sigmoid(m, x * 2.0) * 2.0 - 1.0


def softplus(m: Arithmetic, x: Number) -> Number:
    """Return log(1 + e^x)."""
    return m.maximum(x, 0.0) + m.log(m.exp(0.0 - m.maximum(x, 0.0 - x)) + 1.0)


Function = Callable[[Arithmetic, Number, float, float], Number]

FUNCTIONS: dict[str, Function] = {
    "relu": lambda m, x, _a, _b: m.maximum(x, 0.0),
    "clip": clip,
    "leaky-relu": lambda m, x, a, _b: m.where(x < 0.0, x * a, x),
    "elu": lambda m, x, a, _b: m.where(x < 0.0, (m.exp(m.minimum(x, 0.0)) - 1.0) * a, x),
    "celu": lambda m, x, a, _b: m.maximum(x, 0.0) + (m.exp(m.minimum(x, 0.0) * (1 / a)) - 1.0) * a,
    "selu": lambda m, x, a, b: m.where(x < 0.0, (m.exp(m.minimum(x, 0.0)) - 1.0) * (a * b), x * b),
    "softsign": lambda m, x, _a, _b: x / (m.maximum(x, 0.0 - x) + 1.0),
    "thresholded-relu": lambda m, x, a, _b: m.where(x > a, x, x * 0.0),
    "hard-sigmoid": lambda m, x, a, b: clip(m, x * a + b, 0.0, 1.0),
    "hard-swish": lambda m, x, _a, _b: x * clip(m, x * (1 / 6) + 0.5, 0.0, 1.0),
    "sigmoid": lambda m, x, _a, _b: sigmoid(m, x),
    "silu": lambda m, x, _a, _b: x * sigmoid(m, x),
    "tanh": lambda m, x, _a, _b: tanh(m, x),
    "erf": lambda m, x, _a, _b: m.erf(x),
    "gelu": lambda m, x, _a, _b: x * 0.5 * (m.erf(x * 0.70710678) + 1.0),
    "gelu-tanh": lambda m, x, _a, _b: x * 0.5 * (tanh(m, (x + x * x * x * 0.044715) * 0.79788456) + 1.0),
    "exp": lambda m, x, _a, _b: m.exp(x),
    "sqrt": lambda m, x, _a, _b: m.sqrt(x),
    "abs": lambda m, x, _a, _b: m.maximum(x, 0.0 - x),
    "affine": lambda _m, x, a, b: x * a + b,
    "square": lambda _m, x, _a, _b: x * x,
    "cube": lambda _m, x, _a, _b: x * x * x,
    "reciprocal": lambda _m, x, _a, _b: 1.0 / x,
    "log": lambda m, x, _a, _b: m.log(x),
    "softplus": lambda m, x, _a, _b: softplus(m, x),
    "mish": lambda m, x, _a, _b: x * tanh(m, softplus(m, x)),
    "sin": lambda m, x, _a, _b: m.sin(x),
    "cos": lambda m, x, _a, _b: m.cos(x),
    "sign": lambda m, x, _a, _b: m.sign(x),
    "floor": lambda m, x, _a, _b: m.floor(x),
    "ceil": lambda m, x, _a, _b: m.ceil(x),
    "round": lambda m, x, _a, _b: m.rint(x),
}
