"""What the operator families share: the table's type, integer arguments, padding."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from galen.ir.errors import GalenError

Operator = Callable[..., Any]
"""One ONNX operator in torch: inputs by position, attributes by keyword under their ONNX names."""

Versions = Sequence[tuple[int, Operator]]
Table = Mapping[str, Operator | Versions]
"""Operator type -> its function, or (first opset, function) in ascending order where versions differ."""

Ints = Tensor | Sequence[int]


def ints(values: Ints) -> list[int]:
    """Return integers that a graph may hold as an attribute, a constant or a computed tensor."""
    return [int(v) for v in (values.reshape(-1).tolist() if isinstance(values, Tensor) else values)]


def same_padding(size: int, kernel: int, stride: int, dilation: int, mode: str) -> tuple[int, int]:
    """Return padding before and after an axis for `auto_pad` SAME_UPPER or SAME_LOWER (ONNX, Conv)."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def window_pads(
    x: Tensor,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    *,
    pads: Ints | None,
    auto_pad: str,
) -> list[tuple[int, int]]:
    """Return padding (before, after) of every spatial axis of `x`."""
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        axes = zip(x.shape[2:], kernel, strides, dilations, strict=True)
        return [same_padding(n, k, s, d, auto_pad) for n, k, s, d in axes]
    if pads is None or auto_pad == "VALID":
        return [(0, 0)] * len(kernel)
    numbers, rank = ints(pads), len(kernel)
    return list(zip(numbers[:rank], numbers[rank:], strict=True))


def pad_spatial(x: Tensor, pads: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """Pad the last axes of `x`, one (before, after) per axis."""
    return torch.nn.functional.pad(x, [n for pair in reversed(pads) for n in pair], value=value)


def is_symmetric(pads: Sequence[tuple[int, int]]) -> bool:
    """Return whether every axis is padded alike on both sides, which torch's operators do themselves."""
    return all(before == after for before, after in pads)


def refuse(operator: str, what: str) -> GalenError:
    """Return the error for a form of an operator that has no torch equivalent here."""
    return GalenError(f"{what} of {operator} has no torch form here", where=operator)
