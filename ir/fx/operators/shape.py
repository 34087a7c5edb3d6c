"""Shapes, constants and types as values."""

from collections.abc import Sequence

import onnx_ir
import torch
from torch import Tensor

from galen.ir.fx.operators.common import Ints, Table, ints

_TORCH_TYPES = {
    onnx_ir.DataType.FLOAT: torch.float32,
    onnx_ir.DataType.DOUBLE: torch.float64,
    onnx_ir.DataType.FLOAT16: torch.float16,
    onnx_ir.DataType.BFLOAT16: torch.bfloat16,
    onnx_ir.DataType.INT8: torch.int8,
    onnx_ir.DataType.UINT8: torch.uint8,
    onnx_ir.DataType.INT16: torch.int16,
    onnx_ir.DataType.INT32: torch.int32,
    onnx_ir.DataType.INT64: torch.int64,
    onnx_ir.DataType.BOOL: torch.bool,
}


def shape(x: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """Shape."""
    return torch.tensor(list(x.shape)[start:end], dtype=torch.int64)


def size(x: Tensor) -> Tensor:
    """Size."""
    return torch.tensor(x.numel())


def cast(x: Tensor, *, to: int, saturate: int = 1, round_mode: str = "up") -> Tensor:
    """Cast; saturation and rounding concern 8-bit floats, which torch's type table here does not hold."""
    assert saturate in (0, 1)  # noqa: S101
    assert round_mode in ("up", "down", "nearest")  # noqa: S101
    return x.to(_TORCH_TYPES[onnx_ir.DataType(to)])


def cast_like(x: Tensor, like: Tensor, *, saturate: int = 1) -> Tensor:
    """CastLike."""
    assert saturate in (0, 1)  # noqa: S101
    return x.to(like.dtype)


def constant_of_shape(dims: Ints, *, value: Sequence[float] = (0.0,), value_type: int = 1) -> Tensor:
    """ConstantOfShape: a tensor attribute comes as its elements and its type."""
    return torch.full(ints(dims), value[0], dtype=_TORCH_TYPES[onnx_ir.DataType(value_type)])


def number_range(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    """Range."""
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def one_hot(indices: Tensor, depth: Ints, values: Tensor, *, axis: int = -1) -> Tensor:
    """OneHot."""
    classes = ints(depth)[0]
    whole = indices.long()
    inside = (whole >= -classes) & (whole < classes)
    hot = torch.nn.functional.one_hot(whole % classes, classes).bool() & inside[..., None]
    return torch.where(hot, values[1], values[0]).movedim(-1, axis)


def non_zero(x: Tensor) -> Tensor:
    """NonZero."""
    return x.nonzero().T


OPERATORS: Table = {
    "Shape": shape,
    "Size": size,
    "Cast": cast,
    "CastLike": cast_like,
    "ConstantOfShape": constant_of_shape,
    "Range": number_range,
    "OneHot": one_hot,
    "NonZero": non_zero,
}
