"""Convolution and pooling."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from galen.ir.fx.operators.common import Ints, Operator, Table, ints, is_symmetric, pad_spatial, refuse, window_pads

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_CONV_TRANSPOSE = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
_MAX_POOL = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_AVG_POOL = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}


def conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints | None = None,
    group: int = 1,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """Conv."""
    kernel = weight.shape[2:]
    stride, dilation = _each(strides, kernel), _each(dilations, kernel)
    padding = window_pads(x, kernel, stride, dilation, pads=pads, auto_pad=auto_pad)
    if not is_symmetric(padding):
        x, padding = pad_spatial(x, padding), [(0, 0)] * len(kernel)
    before = [pair[0] for pair in padding]
    result: Tensor = _by_rank(_CONV, "Conv", kernel)(x, weight, bias, stride, before, dilation, group)
    return result


def conv_rows(
    x: Tensor,
    weight: Tensor,
    *,
    every: int = 1,
    auto_pad: str = "NOTSET",
    dilations: Ints | None = None,
    group: int = 1,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """Return what a 2-d convolution multiplies its weights with: `[group, n * height * width, inputs * kernel]`.

    Height and width are those of the output, of which only `every` so-manieth row and column is taken.
    """
    kernel = weight.shape[2:]
    stride, dilation = _each(strides, kernel), _each(dilations, kernel)
    x = pad_spatial(x, window_pads(x, kernel, stride, dilation, pads=pads, auto_pad=auto_pad))
    columns = functional.unfold(x, tuple(kernel), tuple(dilation), 0, tuple(every * s for s in stride))
    grouped = columns.reshape(len(x), group, -1, columns.shape[2])
    return grouped.permute(1, 0, 3, 2).flatten(1, 2)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Ints | None = None,
    group: int = 1,
    output_padding: Ints | None = None,
    output_shape: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """ConvTranspose: the whole result, cropped by `pads`."""
    if output_shape is not None or auto_pad not in ("NOTSET", "VALID"):
        raise refuse("ConvTranspose", "output_shape or auto_pad")
    kernel = weight.shape[2:]
    stride, dilation = _each(strides, kernel), _each(dilations, kernel)
    extra = ints(output_padding) if output_padding is not None else [0] * len(kernel)
    padding = window_pads(x, kernel, stride, dilation, pads=pads, auto_pad=auto_pad)
    transpose = _by_rank(_CONV_TRANSPOSE, "ConvTranspose", kernel)
    if is_symmetric(padding):
        padding_sizes = [pair[0] for pair in padding]
        result: Tensor = transpose(x, weight, bias, stride, padding_sizes, extra, group, dilation)
        return result
    whole: Tensor = transpose(x, weight, bias, stride, 0, extra, group, dilation)
    return pad_spatial(whole, [(-before, -after) for before, after in padding])


def max_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """MaxPool, first output."""
    kernel = ints(kernel_shape)
    stride, dilation = _each(strides, kernel), _each(dilations, kernel)
    padding = window_pads(x, kernel, stride, dilation, pads=pads, auto_pad=auto_pad)
    if not is_symmetric(padding) or any(2 * before > k for (before, _), k in zip(padding, kernel, strict=True)):
        x, padding = pad_spatial(x, padding, -torch.inf), [(0, 0)] * len(kernel)
    before = [pair[0] for pair in padding]
    pooled: Tensor = _by_rank(_MAX_POOL, "MaxPool", kernel)(x, kernel, stride, before, dilation, bool(ceil_mode))
    return pooled


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Ints,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Ints | None = None,
    pads: Ints | None = None,
    strides: Ints | None = None,
) -> Tensor:
    """AveragePool."""
    kernel = ints(kernel_shape)
    stride, dilation = _each(strides, kernel), _each(dilations, kernel)
    if any(d != 1 for d in dilation):
        raise refuse("AveragePool", "dilation")
    padding = window_pads(x, kernel, stride, dilation, pads=pads, auto_pad=auto_pad)
    pool, ceil = _by_rank(_AVG_POOL, "AveragePool", kernel), bool(ceil_mode)
    if is_symmetric(padding) and all(2 * before <= k for (before, _), k in zip(padding, kernel, strict=True)):
        pooled: Tensor = pool(x, kernel, stride, [pair[0] for pair in padding], ceil, bool(count_include_pad))
        return pooled
    total: Tensor = pool(pad_spatial(x, padding), kernel, stride, 0, ceil)
    if count_include_pad:
        return total
    inside: Tensor = pool(pad_spatial(torch.ones_like(x), padding), kernel, stride, 0, ceil)
    return total / inside


def global_average_pool(x: Tensor) -> Tensor:
    """GlobalAveragePool."""
    return x.mean(dim=tuple(range(2, x.dim())), keepdim=True)


def global_max_pool(x: Tensor) -> Tensor:
    """GlobalMaxPool."""
    return x.amax(dim=tuple(range(2, x.dim())), keepdim=True)


def _each(values: Ints | None, kernel: Sequence[int]) -> list[int]:
    return ints(values) if values is not None else [1] * len(kernel)


def _by_rank(functions: Mapping[int, Operator], operator: str, kernel: Sequence[int]) -> Operator:
    if len(kernel) not in functions:
        raise refuse(operator, f"{len(kernel)} spatial axes")
    return functions[len(kernel)]


OPERATORS: Table = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
}
