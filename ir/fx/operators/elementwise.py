"""Element by element: arithmetic, comparison, activations."""

import operator
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from galen.ir.fx.operators.common import Operator, Table


def divide(a: Tensor, b: Tensor) -> Tensor:
    """Div: integers are truncated."""
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def modulo(a: Tensor, b: Tensor, *, fmod: int = 0) -> Tensor:
    """Mod."""
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


def power(base: Tensor, exponent: Tensor) -> Tensor:
    """Pow: the result has the type of the base."""
    return torch.pow(base, exponent).to(base.dtype)


def clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Clip with bounds as inputs."""
    x = x if low is None else torch.maximum(x, low.to(x.dtype))
    return x if high is None else torch.minimum(x, high.to(x.dtype))


def clip_6(x: Tensor, *, min: float = -torch.inf, max: float = torch.inf) -> Tensor:  # noqa: A002
    """Clip with bounds as attributes."""
    return x.clamp(min, max)


def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """LeakyRelu."""
    return functional.leaky_relu(x, alpha)


def p_relu(x: Tensor, slope: Tensor) -> Tensor:
    """PRelu: the slope broadcasts."""
    return torch.where(x < 0, x * slope, x)


def elu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Elu."""
    return functional.elu(x, alpha)


def celu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Celu."""
    return functional.celu(x, alpha)


def selu(x: Tensor, *, alpha: float = 1.6732631921768188, gamma: float = 1.0507010221481323) -> Tensor:
    """Selu."""
    return gamma * functional.elu(x, alpha)


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """HardSigmoid."""
    return (alpha * x + beta).clamp(0.0, 1.0)


def thresholded_relu(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """ThresholdedRelu."""
    return torch.where(x > alpha, x, torch.zeros_like(x))


def gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """Gelu."""
    return functional.gelu(x, approximate=approximate)


def swish(x: Tensor, *, alpha: float = 1.0) -> Tensor:
    """Swish."""
    return x * torch.sigmoid(alpha * x)


def shrink(x: Tensor, *, bias: float = 0.0, lambd: float = 0.5) -> Tensor:
    """Shrink."""
    return torch.where(x < -lambd, x + bias, torch.where(x > lambd, x - bias, torch.zeros_like(x)))


def is_infinite(x: Tensor, *, detect_negative: int = 1, detect_positive: int = 1) -> Tensor:
    """IsInf."""
    return (torch.isposinf(x) & bool(detect_positive)) | (torch.isneginf(x) & bool(detect_negative))


def bit_shift(a: Tensor, b: Tensor, *, direction: str) -> Tensor:
    """BitShift."""
    return a << b if direction == "LEFT" else a >> b


def add_all(*values: Tensor) -> Tensor:
    """Sum."""
    return reduce(torch.add, values)


def mean_all(*values: Tensor) -> Tensor:
    """Mean."""
    return add_all(*values) / len(values)


def maximum_all(*values: Tensor) -> Tensor:
    """Max."""
    return reduce(torch.maximum, values)


def minimum_all(*values: Tensor) -> Tensor:
    """Min."""
    return reduce(torch.minimum, values)


def identity(x: Tensor) -> Tensor:
    """Identity."""
    return x


def dropout(x: Tensor, _ratio: Tensor | None = None, _training: Tensor | None = None) -> Tensor:
    """Dropout as inference runs it: compressed networks are fine-tuned without."""
    return x


_UNARY: dict[str, Operator] = {
    "Abs": torch.abs, "Neg": torch.neg, "Sign": torch.sign, "Reciprocal": torch.reciprocal,
    "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round, "Exp": torch.exp, "Log": torch.log,
    "Sqrt": torch.sqrt, "Erf": torch.erf, "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan,
    "Sinh": torch.sinh, "Cosh": torch.cosh, "Tanh": torch.tanh, "Asin": torch.asin, "Acos": torch.acos,
    "Atan": torch.atan, "Asinh": torch.asinh, "Acosh": torch.acosh, "Atanh": torch.atanh,
    "Relu": torch.relu, "Sigmoid": torch.sigmoid, "Softplus": functional.softplus, "Softsign": functional.softsign,
    "HardSwish": functional.hardswish, "Mish": functional.mish,
    "Not": torch.logical_not, "IsNaN": torch.isnan, "BitwiseNot": torch.bitwise_not,
}  # fmt: skip

_BINARY: dict[str, Operator] = {
    "Add": operator.add, "Sub": operator.sub, "Mul": operator.mul, "Div": divide, "Pow": power, "Mod": modulo,
    "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor, "Equal": torch.eq,
    "Less": torch.lt, "LessOrEqual": torch.le, "Greater": torch.gt, "GreaterOrEqual": torch.ge,
    "BitwiseAnd": torch.bitwise_and, "BitwiseOr": torch.bitwise_or, "BitwiseXor": torch.bitwise_xor,
    "BitShift": bit_shift,
}  # fmt: skip

OPERATORS: Table = {
    **_UNARY,
    **_BINARY,
    "Clip": ((1, clip_6), (11, clip)),
    "LeakyRelu": leaky_relu,
    "PRelu": p_relu,
    "Elu": elu,
    "Celu": celu,
    "Selu": selu,
    "HardSigmoid": hard_sigmoid,
    "ThresholdedRelu": thresholded_relu,
    "Gelu": gelu,
    "Swish": swish,
    "Shrink": shrink,
    "IsInf": is_infinite,
    "Where": torch.where,
    "Sum": add_all,
    "Mean": mean_all,
    "Max": maximum_all,
    "Min": minimum_all,
    "Identity": identity,
    "Dropout": dropout,
}
