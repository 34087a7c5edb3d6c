"""Element-wise functions, written once for vectors of TIR and for numpy arrays.

Each takes the arithmetic (`Vectors` or `Arrays`), the value and two parameters. In TIR exponentials are polynomials,
because the mathematics library has no vectors; in numpy they are exact, which is what the polynomials are held against.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from galen.backends.kernels.emit import Emitter, Expr

Number = Any
"""A vector expression or an array: both have operators and take Python's floats as constants."""


class Arithmetic(Protocol):
    """What the functions need beyond operators."""

    def exp(self, x: Number) -> Number:
        """Return e^x."""

    def erf(self, x: Number) -> Number:
        """Return the error function."""

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
        self._e, self._suffix = e, "" if lanes == 1 else f"x{lanes}"
        self.maximum, self.minimum, self.where, self.sqrt = e.T.max, e.T.min, e.T.Select, e.T.sqrt

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
    "reciprocal": lambda _m, x, _a, _b: 1.0 / x,
}
