"""QuantizeLinear and DequantizeLinear as fake quantization: integers held in floats, gradients straight through.

Rounding passes the gradient as it is (Bengio et al. 2013, section 4), saturation stops it where the value lies outside.
"""

import torch
from torch import Tensor, nn

from galen.ir.fx.operators.common import Table


def round_through(x: Tensor) -> Tensor:
    """Round half to even; the gradient is that of the identity."""
    return x + (torch.round(x) - x).detach()


def quantize_linear(x: Tensor, scale: Tensor, zero_point: Tensor | None = None, *, axis: int = 1) -> Tensor:
    """QuantizeLinear: whole numbers in the range of the zero point's type, as floats."""
    limits = torch.iinfo(torch.uint8 if zero_point is None else zero_point.dtype)
    steps = round_through(x / _along(scale, x, axis))
    if zero_point is not None:
        steps = steps + _along(zero_point, x, axis)
    return steps.clamp(limits.min, limits.max)


def dequantize_linear(x: Tensor, scale: Tensor, zero_point: Tensor | None = None, *, axis: int = 1) -> Tensor:
    """DequantizeLinear."""
    steps = x.to(scale.dtype)
    if zero_point is not None:
        steps = steps - _along(zero_point, x, axis)
    return steps * _along(scale, x, axis)


class AsInteger(nn.Module):
    """Turns whole numbers held in floats into the integers that the model returns, but in training: gradients."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """Return `x`, as integers in evaluation mode."""
        return x if self.training else x.to(self.dtype)


def fake_quantize_activation(x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int) -> Tensor:
    """QuantizeLinear, Clip to `low`..`high` and DequantizeLinear of one scale in one step, which is much faster."""
    return torch.fake_quantize_per_tensor_affine(x, scale, zero_point.to(torch.int32), low, high)


def fake_quantize(x: Tensor, scale: Tensor, low: int, high: int, axis: int) -> Tensor:
    """Return the values that symmetric integers `low`..`high` can take, nearest to `x`: a trained weight or bias."""
    step = _along(scale, x, axis)
    return round_through(x / step).clamp(low, high) * step


def fake_binarize(x: Tensor, scale: Tensor, axis: int) -> Tensor:
    """Return minus or plus `scale`; the gradient passes where |x| <= scale (XNOR-Net, section 3.1)."""
    step = _along(scale, x, axis)
    inside = x.clamp(-step, step)
    return inside + (torch.where(x >= 0, step, -step) - inside).detach()


def _along(parameter: Tensor, x: Tensor, axis: int) -> Tensor:
    """Return a scale or zero point in a shape that broadcasts along `axis` of `x`."""
    if parameter.numel() == 1:
        return parameter.reshape(())
    shape = [1] * x.dim()
    shape[axis] = -1
    return parameter.reshape(shape)


OPERATORS: Table = {"QuantizeLinear": quantize_linear, "DequantizeLinear": dequantize_linear}
