"""Weights and biases as integers with their scales."""

import numpy as np

_BIAS_LIMIT = 2.0**30
"""Biases stay this far from the end of int32: the products that are added to them need room."""
_SHRINK = np.linspace(0.4, 1.0, 61)


def integer_weight(
    weight: np.ndarray, axis: int | None, bits: int, bias: np.ndarray | None, x_scale: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Return int8 weights and fp32 scales, symmetric, one scale per index of `axis` (a scalar for None).

    8 bits take the whole range; fewer bits the range of least squared error; 1 bit is the sign times the mean of |w|
    (XNOR-Net, section 3.1).

    Args:
        weight: fp32.
        axis: output channels.
        bits: 1 to 8.
        bias: per output channel; scales are large enough that it fits into int32.
        x_scale: of the input, which the bias's scale contains.
    """
    rows = weight.reshape(1, -1) if axis is None else np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)
    scale = _scales(rows.astype(np.float64), bits)
    if bias is not None:
        needed = np.abs(bias.reshape(-1).astype(np.float64)) / (float(x_scale) * _BIAS_LIMIT)
        scale = np.maximum(scale, needed if axis is not None else needed.max())
    scale = np.where(scale > np.finfo(np.float32).tiny, scale, 1.0).astype(np.float32)
    integers = _round(rows, scale[:, None], bits).astype(np.int8)
    if axis is None:
        return integers.reshape(weight.shape), scale.reshape(())
    moved = np.moveaxis(weight, axis, 0).shape
    return np.ascontiguousarray(np.moveaxis(integers.reshape(moved), 0, axis)), scale


def integer_bias(bias: np.ndarray, x_scale: np.float32, w_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an int32 bias and its scale, the fp32 product of the scales of input and weight."""
    scale = np.float32(x_scale) * w_scale.astype(np.float32)
    limits = np.iinfo(np.int32)
    integers = np.rint(bias.astype(np.float64) / scale.astype(np.float64)).clip(limits.min, limits.max)
    return integers.astype(np.int32), scale


def _scales(rows: np.ndarray, bits: int) -> np.ndarray:
    magnitude = np.abs(rows)
    if bits == 1:
        return np.asarray(magnitude.mean(axis=1))
    whole = magnitude.max(axis=1) / (2 ** (bits - 1) - 1)
    if bits == 8:
        return np.asarray(whole)
    safe = np.where(whole > 0, whole, 1.0)
    errors = [np.square(_round(rows, (safe * f)[:, None], bits) * (safe * f)[:, None] - rows).sum(1) for f in _SHRINK]
    return np.asarray(whole * _SHRINK[np.argmin(errors, axis=0)])


def _round(rows: np.ndarray, scale: np.ndarray, bits: int) -> np.ndarray:
    if bits == 1:
        return np.where(rows >= 0, 1, -1)
    high = 2 ** (bits - 1) - 1
    return np.asarray(np.rint(rows / scale).clip(-high, high))
