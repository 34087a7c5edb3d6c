"""Elements moved, none computed: reshape, slice, pad, concatenate, gather."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from galen.ir.fx.operators.common import Ints, Table, ints, refuse


def reshape(x: Tensor, shape: Ints, *, allowzero: int = 0) -> Tensor:
    """Reshape: 0 copies a dimension."""
    target = ints(shape)
    if not allowzero:
        target = [x.shape[axis] if dim == 0 else dim for axis, dim in enumerate(target)]
    return x.reshape(target)


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """Flatten to a matrix."""
    rows = x.shape[:axis].numel()
    return x.reshape(rows, x.numel() // max(rows, 1))


def transpose(x: Tensor, *, perm: Ints | None = None) -> Tensor:
    """Transpose; without `perm` the axes are reversed."""
    return x.permute(ints(perm) if perm is not None else list(range(x.dim()))[::-1])


def squeeze(x: Tensor, axes: Ints | None = None) -> Tensor:
    """Squeeze."""
    return x.squeeze() if axes is None else x.squeeze(tuple(ints(axes)))


def unsqueeze(x: Tensor, axes: Ints) -> Tensor:
    """Unsqueeze: axes are those of the result."""
    numbers = ints(axes)
    rank = x.dim() + len(numbers)
    for axis in sorted(axis % rank for axis in numbers):
        x = x.unsqueeze(axis)
    return x


def expand(x: Tensor, shape: Ints) -> Tensor:
    """Expand: broadcast both ways."""
    return x.expand(np.broadcast_shapes(x.shape, tuple(ints(shape))))


def concat(*values: Tensor, axis: int) -> Tensor:
    """Concat."""
    return torch.cat(values, axis)


def split(x: Tensor, split: Ints | None = None, *, axis: int = 0, num_outputs: int | None = None) -> list[Tensor]:
    """Split into given sizes, or `num_outputs` equal ones (the last may be smaller)."""
    if split is not None:
        return list(torch.split(x, ints(split), axis))
    if num_outputs is None:
        raise refuse("Split", "an unknown number of outputs")
    return list(torch.split(x, -(-x.shape[axis] // num_outputs), axis))


def slice_(x: Tensor, starts: Ints, ends: Ints, axes: Ints | None = None, steps: Ints | None = None) -> Tensor:
    """Slice; a negative step reverses."""
    begin, end = ints(starts), ints(ends)
    over = ints(axes) if axes is not None else list(range(len(begin)))
    stride = ints(steps) if steps is not None else [1] * len(begin)
    for first, last, axis, step in zip(begin, end, over, stride, strict=True):
        x = _slice_axis(x, first, last, axis % x.dim(), step)
    return x


def _slice_axis(x: Tensor, first: int, last: int, axis: int, step: int) -> Tensor:
    start, stop, stride = slice(first, last, step).indices(x.shape[axis])
    if step < 0:
        return x.index_select(axis, torch.arange(start, stop, stride, device=x.device))
    return x[(slice(None),) * axis + (slice(start, stop, stride),)]


def pad(
    x: Tensor,
    pads: Ints,
    constant: Tensor | float | None = None,
    axes: Ints | None = None,
    *,
    mode: str = "constant",
    value: float = 0.0,
) -> Tensor:
    """Pad; negative pads crop."""
    numbers = ints(pads)
    over = [axis % x.dim() for axis in ints(axes)] if axes is not None else list(range(x.dim()))
    pairs = dict(zip(over, zip(numbers[: len(over)], numbers[len(over) :], strict=True), strict=True))
    if mode == "constant":
        filling = value if constant is None else float(constant)
        flat = [n for axis in reversed(range(x.dim())) for n in pairs.get(axis, (0, 0))]
        return functional.pad(x, flat, value=filling)
    for axis, (before, after) in pairs.items():
        if before or after:
            x = x.index_select(axis, _mirrored(x.shape[axis], before, after, mode, x.device))
    return x


def _mirrored(size: int, before: int, after: int, mode: str, device: torch.device) -> Tensor:
    """Return which elements an axis padded by reflection, edge or wrapping consists of."""
    positions = torch.arange(-before, size + after, device=device)
    if mode == "edge":
        return positions.clamp(0, size - 1)
    if mode == "wrap":
        return positions % size
    period = max(2 * (size - 1), 1)
    folded = positions % period
    return torch.where(folded < size, folded, period - folded)


def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Gather slices."""
    axis = axis % x.dim()
    flat = indices.reshape(-1).long()
    picked = x.index_select(axis, torch.where(flat < 0, flat + x.shape[axis], flat))
    return picked.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def gather_elements(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """GatherElements."""
    return torch.gather(x, axis, torch.where(indices < 0, indices + x.shape[axis], indices))


def depth_to_space(x: Tensor, *, blocksize: int, mode: str = "DCR") -> Tensor:
    """DepthToSpace."""
    if mode == "CRD":
        return functional.pixel_shuffle(x, blocksize)
    n, c, h, w = x.shape
    blocks = x.reshape(n, blocksize, blocksize, c // blocksize**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(n, c // blocksize**2, h * blocksize, w * blocksize)


def space_to_depth(x: Tensor, *, blocksize: int) -> Tensor:
    """SpaceToDepth."""
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // blocksize, blocksize, w // blocksize, blocksize).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(n, c * blocksize**2, h // blocksize, w // blocksize)


def tile(x: Tensor, repeats: Ints) -> Tensor:
    """Tile."""
    return x.repeat(ints(repeats))


def trilu(x: Tensor, k: Tensor | None = None, *, upper: int = 1) -> Tensor:
    """Trilu."""
    diagonal = 0 if k is None else int(k)
    return torch.triu(x, diagonal) if upper else torch.tril(x, diagonal)


def scatter_nd(x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    """ScatterND without reduction."""
    return x.index_put(tuple(indices.long().unbind(-1)), updates)


OPERATORS: Table = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Pad": pad,
    "Gather": gather,
    "GatherElements": gather_elements,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "Tile": tile,
    "Trilu": trilu,
    "ScatterND": scatter_nd,
}
