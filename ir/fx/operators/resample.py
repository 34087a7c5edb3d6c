"""Resize: every axis is multiplied with the matrix of its interpolation, which has a gradient in every mode."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from galen.ir.fx.operators.common import Ints, Table, ints, refuse

_NEAREST: dict[str, Callable[[float], int]] = {
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}
_COORDINATES = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "asymmetric", "align_corners")


def _position(kind: str, i: int, scale: float, old: int) -> float:
    """Return where output element `i` lies among `old` input elements (ONNX, Resize)."""
    length = scale * old
    if kind == "asymmetric":
        return i / scale
    if kind == "align_corners":
        return i * (old - 1) / (length - 1) if length != 1 else 0.0
    if kind == "pytorch_half_pixel" and length <= 1:
        return 0.0
    centre = old / 2 * (1 - math.floor(length) / length) if kind == "half_pixel_symmetric" else 0.0
    return centre + (i + 0.5) / scale - 0.5


def resize(
    x: Tensor,
    _roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Ints | None = None,
    *,
    axes: Ints | None = None,
    coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    keep_aspect_ratio_policy: str = "stretch",
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
) -> Tensor:
    """Resize."""
    if coordinate_transformation_mode not in _COORDINATES or keep_aspect_ratio_policy != "stretch":
        raise refuse("Resize", f"{coordinate_transformation_mode}, {keep_aspect_ratio_policy}")
    over = [axis % x.dim() for axis in ints(axes)] if axes is not None else list(range(x.dim()))
    old = [x.shape[axis] for axis in over]
    new = ints(sizes) if sizes is not None else []
    if sizes is not None:
        factors = [n / o for n, o in zip(new, old, strict=True)]
    else:
        factors = [float(s) for s in scales.tolist()] if scales is not None else [1.0] * len(over)
        new = [math.floor(o * f) for o, f in zip(old, factors, strict=True)]
    for axis, before, after, scale in zip(over, old, new, factors, strict=True):
        if before == after and scale == 1.0:
            continue
        matrix = torch.zeros(after, before)
        for i in range(after):
            position = _position(coordinate_transformation_mode, i, scale, before)
            inside = before if exclude_outside else None
            for index, weight in _taps(position, mode, nearest_mode, cubic_coeff_a, inside):
                matrix[i, min(max(index, 0), before - 1)] += weight
        x = torch.tensordot(x.movedim(axis, -1), matrix.to(x.dtype).T, dims=1).movedim(-1, axis)
    return x


def _taps(position: float, mode: str, nearest: str, a: float, inside: int | None) -> list[tuple[int, float]]:
    """Return the elements that one output is made of, and their weights; `inside`: elements that count, if not all."""
    if mode == "nearest":
        return [(_NEAREST[nearest](position), 1.0)]
    first = math.floor(position)
    t = position - first
    if mode == "linear":
        taps = [(first, 1 - t), (first + 1, t)]
    else:
        taps = [(first + k, _cubic(abs(k - t), a)) for k in (-1, 0, 1, 2)]
    if inside is not None:
        taps = [(index, weight) for index, weight in taps if 0 <= index < inside]
        total = sum(weight for _, weight in taps)
        taps = [(index, weight / total) for index, weight in taps]
    return taps


def _cubic(d: float, a: float) -> float:
    """Keys 1981 (Cubic Convolution Interpolation for Digital Image Processing), equation 15."""
    if d <= 1:
        return ((a + 2) * d - (a + 3)) * d * d + 1
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a if d < 2 else 0.0


def upsample(x: Tensor, scales: Tensor, *, mode: str = "nearest") -> Tensor:
    """Upsample."""
    return resize(x, None, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor")


OPERATORS: Table = {"Resize": resize, "Upsample": upsample}
