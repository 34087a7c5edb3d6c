"""Matrix products, reductions, normalisation, softmax."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from galen.ir.fx.operators.common import Ints, Operator, Table, ints


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,  # noqa: N803
    transB: int = 0,  # noqa: N803
) -> Tensor:
    """Gemm."""
    product = (a.T if transA else a) @ (b.T if transB else b)
    product = product if alpha == 1.0 else alpha * product
    return product if c is None else product + (c if beta == 1.0 else beta * c)


def einsum(*values: Tensor, equation: str) -> Tensor:
    """Einsum."""
    return torch.einsum(equation, *values)


def _axes(x: Tensor, axes: Ints | None) -> tuple[int, ...]:
    return tuple(ints(axes)) if axes is not None else tuple(range(x.dim()))


def _reduction(compute: Callable[[Tensor, tuple[int, ...], bool], Tensor]) -> Operator:
    """Make a Reduce operator: `axes` as an attribute or an input, all axes without."""

    def run(x: Tensor, axes: Ints | None = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
        if (axes is None or not ints(axes)) and noop_with_empty_axes:
            return x
        return compute(x, _axes(x, axes if axes is not None and ints(axes) else None), bool(keepdims))

    return run


def _product(x: Tensor, axes: tuple[int, ...], keep: bool) -> Tensor:
    for axis in sorted((axis % x.dim() for axis in axes), reverse=True):
        x = x.prod(axis, keepdim=keep)
    return x


def arg_max(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """ArgMax."""
    if select_last_index:
        return x.shape[axis] - 1 - x.flip(axis).argmax(axis, bool(keepdims))
    return x.argmax(axis, bool(keepdims))


def arg_min(x: Tensor, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Tensor:
    """ArgMin."""
    return arg_max(-x, axis=axis, keepdims=keepdims, select_last_index=select_last_index)


def top_k(x: Tensor, k: Ints, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> list[Tensor]:  # noqa: A002
    """TopK."""
    assert sorted in (0, 1), "the order of unsorted results is free"  # noqa: S101
    values, indices = torch.sort(x, dim=axis, descending=bool(largest), stable=True)
    count = ints(k)[0]
    return [values.narrow(axis, 0, count), indices.narrow(axis, 0, count)]


def cumulative_sum(x: Tensor, axis: Ints, *, exclusive: int = 0, reverse: int = 0) -> Tensor:
    """CumSum."""
    along = ints(axis)[0]
    x = x.flip(along) if reverse else x
    total = x.cumsum(along).to(x.dtype)
    total = total - x if exclusive else total
    return total.flip(along) if reverse else total


def softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """Softmax."""
    return x.softmax(axis)


def softmax_1(x: Tensor, *, axis: int = 1) -> Tensor:
    """Softmax before opset 13: over everything from `axis` on."""
    axis = axis % x.dim()
    return x.flatten(axis).softmax(-1).reshape(x.shape)


def log_softmax(x: Tensor, *, axis: int = -1) -> Tensor:
    """LogSoftmax."""
    return x.log_softmax(axis)


def log_softmax_1(x: Tensor, *, axis: int = 1) -> Tensor:
    """LogSoftmax before opset 13."""
    axis = axis % x.dim()
    return x.flatten(axis).log_softmax(-1).reshape(x.shape)


def layer_normalization(
    x: Tensor, scale: Tensor, bias: Tensor | None = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """LayerNormalization, first output."""
    assert stash_type == 1, "ONNX defines no other"  # noqa: S101
    dims = tuple(range(axis % x.dim(), x.dim()))
    centred = x - x.mean(dims, keepdim=True)
    normal = centred * torch.rsqrt(centred.square().mean(dims, keepdim=True) + epsilon) * scale
    return normal if bias is None else normal + bias


def rms_normalization(
    x: Tensor, scale: Tensor, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """RMSNormalization."""
    assert stash_type == 1, "ONNX defines no other"  # noqa: S101
    dims = tuple(range(axis % x.dim(), x.dim()))
    return x * torch.rsqrt(x.square().mean(dims, keepdim=True) + epsilon) * scale


def instance_normalization(x: Tensor, scale: Tensor, bias: Tensor, *, epsilon: float = 1e-5) -> Tensor:
    """InstanceNormalization."""
    return functional.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def group_normalization(
    x: Tensor, scale: Tensor, bias: Tensor, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1
) -> Tensor:
    """GroupNormalization; before opset 21 scale and bias are per group."""
    assert stash_type == 1, "ONNX defines no other"  # noqa: S101
    repeats = x.shape[1] // scale.shape[0]
    return functional.group_norm(
        x, num_groups, scale.repeat_interleave(repeats), bias.repeat_interleave(repeats), epsilon
    )


def lp_normalization(x: Tensor, *, axis: int = -1, p: int = 2) -> Tensor:
    """LpNormalization."""
    return functional.normalize(x, p, axis, eps=1e-38)


def local_response(x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Tensor:
    """LRN."""
    return functional.local_response_norm(x, size, alpha, beta, bias)


class BatchNorm(nn.Module):
    """BatchNormalization, a module because training mode normalises by the batch and updates the running statistics."""

    def __init__(self, epsilon: float = 1e-5, momentum: float = 0.9) -> None:
        super().__init__()
        self.epsilon, self.momentum = epsilon, momentum

    def forward(self, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Normalise `x` [n, channels, …]; ONNX's momentum is the share that is kept."""
        return functional.batch_norm(x, mean, variance, scale, bias, self.training, 1 - self.momentum, self.epsilon)


OPERATORS: Table = {
    "Gemm": gemm,
    "MatMul": torch.matmul,
    "Einsum": einsum,
    "ReduceMean": _reduction(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceSum": _reduction(lambda x, axes, keep: x.sum(axes, keep, dtype=x.dtype)),
    "ReduceMax": _reduction(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMin": _reduction(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceProd": _reduction(_product),
    "ReduceL1": _reduction(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": _reduction(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: x.square().sum(axes, keep)),
    "ReduceLogSum": _reduction(lambda x, axes, keep: x.sum(axes, keep).log()),
    "ReduceLogSumExp": _reduction(lambda x, axes, keep: x.logsumexp(axes, keep)),
    "ArgMax": arg_max,
    "ArgMin": arg_min,
    "TopK": top_k,
    "CumSum": cumulative_sum,
    "Softmax": ((1, softmax_1), (13, softmax)),
    "LogSoftmax": ((1, log_softmax_1), (13, log_softmax)),
    "LayerNormalization": layer_normalization,
    "RMSNormalization": rms_normalization,
    "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization,
    "LpNormalization": lp_normalization,
    "LRN": local_response,
    "BatchNormalization": BatchNorm,
}
