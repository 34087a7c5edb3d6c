"""Element-wise functions, each as vector code and as numpy. Exponentials are polynomials: libm has no vectors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galen.backends.kernels.emit import Emitter, Expr

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Function:
    """`emit(e, vector, lanes, alpha, beta)` and `numpy(array, alpha, beta)` compute the same to about 1e-6."""

    emit: Callable[[Emitter, Expr, int, float, float], Expr]
    numpy: Callable[[Array, float, float], Array]


def exp(e: Emitter, x: Expr, lanes: int) -> Expr:
    """Return e^x: 2^n times a polynomial on [-ln2/2, ln2/2] (Cephes `expf`), relative error 2e-7."""
    x = e.let(clamp(e, x, lanes, -87.3, 88.3))
    n = e.let(e.T.floor(x * e.splat(1.44269504, lanes) + e.splat(0.5, lanes)))
    r = e.let(x - n * e.splat(0.693359375, lanes) + n * e.splat(2.12194440e-4, lanes))
    p = horner(e, r, lanes, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5))
    y = p * (r * r) + r + e.splat(1.0, lanes)
    bits = (e.T.Cast(_int(lanes), n) + e.splat(127, lanes, "int32")) * e.splat(1 << 23, lanes, "int32")
    return y * e.T.reinterpret(_float(lanes), bits)


def erf(e: Emitter, x: Expr, lanes: int) -> Expr:
    """Return the error function by Abramowitz and Stegun 7.1.26, absolute error 5e-7 in fp32."""
    a = e.let(e.T.abs(x))
    t = e.let(e.splat(1.0, lanes) / (e.splat(1.0, lanes) + e.splat(0.3275911, lanes) * a))
    p = horner(e, t, lanes, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)) * t
    y = e.let(e.splat(1.0, lanes) - p * exp(e, e.splat(0.0, lanes) - a * a, lanes))
    return e.T.Select(x < e.splat(0.0, lanes), e.splat(0.0, lanes) - y, y)


def sigmoid(e: Emitter, x: Expr, lanes: int) -> Expr:
    """Return 1 / (1 + e^-x)."""
    one = e.splat(1.0, lanes)
    return one / (one + exp(e, e.splat(0.0, lanes) - x, lanes))


def tanh(e: Emitter, x: Expr, lanes: int) -> Expr:
    """Return 2 sigmoid(2x) - 1."""
    two = e.splat(2.0, lanes)
    return two * sigmoid(e, two * x, lanes) - e.splat(1.0, lanes)


def clamp(e: Emitter, x: Expr, lanes: int, low: float, high: float) -> Expr:
    """Return x limited to [low, high]."""
    return e.T.min(e.T.max(x, e.splat(low, lanes)), e.splat(high, lanes))


def horner(e: Emitter, x: Expr, lanes: int, coefficients: tuple[float, ...]) -> Expr:
    """Return the polynomial, highest power first."""
    value = e.splat(coefficients[0], lanes)
    for coefficient in coefficients[1:]:
        value = value * x + e.splat(coefficient, lanes)
    return value


def _int(lanes: int) -> str:
    return "int32" if lanes == 1 else f"int32x{lanes}"


def _float(lanes: int) -> str:
    return "float32" if lanes == 1 else f"float32x{lanes}"


def _hard_sigmoid(e: Emitter, x: Expr, n: int, a: float, b: float) -> Expr:
    return clamp(e, x * e.splat(a, n) + e.splat(b, n), n, 0.0, 1.0)


def _gelu(e: Emitter, x: Expr, n: int) -> Expr:
    return e.splat(0.5, n) * x * (e.splat(1.0, n) + erf(e, x * e.splat(0.70710678, n), n))


def _gelu_tanh(e: Emitter, x: Expr, n: int) -> Expr:
    inner = e.splat(0.79788456, n) * (x + e.splat(0.044715, n) * x * x * x)
    return e.splat(0.5, n) * x * (e.splat(1.0, n) + tanh(e, inner, n))


def _negative_part(e: Emitter, x: Expr, n: int, negative: Expr) -> Expr:
    return e.T.Select(x < e.splat(0.0, n), negative, x)


def _np_sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x.astype(np.float64))), np.float32)


def _np_erf(x: Array) -> Array:
    from scipy.special import erf as scipy_erf  # noqa: PLC0415

    return np.asarray(scipy_erf(x.astype(np.float64)), np.float32)


FUNCTIONS: dict[str, Function] = {
    "relu": Function(lambda e, x, n, a, b: e.T.max(x, e.splat(0.0, n)), lambda x, a, b: np.maximum(x, 0)),
    "clip": Function(lambda e, x, n, a, b: clamp(e, x, n, a, b), lambda x, a, b: np.clip(x, a, b)),
    "leaky-relu": Function(
        lambda e, x, n, a, b: _negative_part(e, x, n, x * e.splat(a, n)), lambda x, a, b: np.where(x < 0, x * a, x)
    ),
    "elu": Function(
        lambda e, x, n, a, b: _negative_part(e, x, n, e.splat(a, n) * (exp(e, x, n) - e.splat(1.0, n))),
        lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x),
    ),
    "hard-sigmoid": Function(_hard_sigmoid, lambda x, a, b: np.clip(x * a + b, 0, 1)),
    "hard-swish": Function(
        lambda e, x, n, a, b: x * _hard_sigmoid(e, x, n, 1 / 6, 0.5), lambda x, a, b: x * np.clip(x / 6 + 0.5, 0, 1)
    ),
    "sigmoid": Function(lambda e, x, n, a, b: sigmoid(e, x, n), lambda x, a, b: _np_sigmoid(x)),
    "silu": Function(lambda e, x, n, a, b: x * sigmoid(e, x, n), lambda x, a, b: x * _np_sigmoid(x)),
    "tanh": Function(lambda e, x, n, a, b: tanh(e, x, n), lambda x, a, b: np.tanh(x)),
    "erf": Function(lambda e, x, n, a, b: erf(e, x, n), lambda x, a, b: _np_erf(x)),
    "gelu": Function(
        lambda e, x, n, a, b: _gelu(e, x, n), lambda x, a, b: 0.5 * x * (1 + _np_erf(x / np.float32(2) ** 0.5))
    ),
    "gelu-tanh": Function(
        lambda e, x, n, a, b: _gelu_tanh(e, x, n),
        lambda x, a, b: 0.5 * x * (1 + np.tanh(0.79788456 * (x + 0.044715 * x**3))),
    ),
    "exp": Function(lambda e, x, n, a, b: exp(e, x, n), lambda x, a, b: np.exp(x)),
    "sqrt": Function(lambda e, x, n, a, b: e.T.sqrt(x), lambda x, a, b: np.sqrt(x)),
    "abs": Function(lambda e, x, n, a, b: e.T.abs(x), lambda x, a, b: np.abs(x)),
    "affine": Function(
        lambda e, x, n, a, b: x * e.splat(a, n) + e.splat(b, n), lambda x, a, b: x * np.float32(a) + np.float32(b)
    ),
    "square": Function(lambda e, x, n, a, b: x * x, lambda x, a, b: x * x),
    "reciprocal": Function(lambda e, x, n, a, b: e.splat(1.0, n) / x, lambda x, a, b: 1 / x),
}
