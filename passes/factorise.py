"""Layers as products of thinner ones: truncated SVD of a matrix or of a convolution's filters, Tucker-2."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from galen.ir import Model, Node, UsageError
from galen.ir.edit import Names, attribute, const_value
from galen.passes import origin
from galen.passes.base import Pass
from galen.passes.layers import Substitute, chosen_layers
from galen.passes.quantizable import Layer

Array = NDArray[np.float64]
_SPATIAL = ("kernel_shape", "pads", "strides", "dilations", "auto_pad")


@dataclass(frozen=True)
class Factorise(Pass, name="factorise"):
    """Replace layers by a sequence of layers of low rank, where that takes fewer parameters.

    Attributes:
        rank: share of the full rank that stays.
        energy: instead, the least rank that holds this share of the sum of squared singular values.
        method: `svd` splits a convolution into k x k and 1 x 1 (Li et al. 2021, section 3.2), a linear layer in two;
            `tucker` a convolution into 1 x 1, k x k and 1 x 1 (Kim et al. 2016, section 3.1).
        layers: names or patterns of the layers to factorise.
    """

    rank: float | None = None
    energy: float | None = None
    method: Literal["svd", "tucker"] = "svd"
    layers: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        if (self.rank is None) == (self.energy is None):
            raise UsageError("factorise takes either rank or energy")
        if not 0 < (self.rank or self.energy or 0) <= 1:
            raise UsageError("rank and energy are shares above 0 and at most 1")

    def apply(self, model: Model, /) -> bool:
        """Return whether a layer was factorised."""
        names, changed = Names(model), False
        for layer in chosen_layers(model, self.layers, ("Conv", "Gemm", "MatMul")):
            if layer.node.op_type == "Conv":
                changed |= self._convolution(model, layer, names)
            else:
                changed |= self._linear(model, layer, names)
        return changed

    def _linear(self, model: Model, layer: Layer, names: Names) -> bool:
        weight = const_value(layer.node.inputs[layer.weight])
        if weight is None or weight.ndim != 2:
            return False
        matrix = weight.T if layer.axis == 0 else weight
        left, right = self._split(matrix.astype(np.float64))
        if left.size + right.size >= weight.size:
            return False
        origin.stamp(model)
        new = Substitute(layer.node, names)
        x = new.add("MatMul", [layer.node.inputs[0], new.constant(_single(left), "left")], "inner")
        x = new.add("MatMul", [x, new.constant(_single(right), "right")], "outer")
        if layer.node.op_type == "Gemm" and layer.bias is not None:
            new.add("Add", [x, layer.node.inputs[2]], "biased")
        new.finish()
        return True

    def _convolution(self, model: Model, layer: Layer, names: Names) -> bool:
        weight = const_value(layer.node.inputs[1])
        if weight is None or attribute(layer.node, "group", 1) != 1:
            return False
        split = self._tucker if self.method == "tucker" and weight[0, 0].size > 1 else self._thin
        kernels = split(weight.astype(np.float64))
        if sum(kernel.size for kernel in kernels) >= weight.size:
            return False
        origin.stamp(model)
        _replace_convolution(layer.node, kernels, names)
        return True

    def _thin(self, weight: Array) -> list[Array]:
        """Return kernels `[r, I, k, k]` and `[O, r, 1, 1]`."""
        outer, inner = self._split(weight.reshape(len(weight), -1))
        return [inner.reshape(-1, *weight.shape[1:]), _pointwise(outer, weight.ndim)]

    def _tucker(self, weight: Array) -> list[Array]:
        """Return kernels `[s, I, 1, 1]`, `[r, s, k, k]` and `[O, r, 1, 1]` by a higher-order SVD of both channels."""
        outer = self._basis(weight.reshape(len(weight), -1))
        inner = self._basis(np.moveaxis(weight, 1, 0).reshape(weight.shape[1], -1))
        core = np.einsum("oi...,or,is->rs...", weight, outer, inner)
        return [_pointwise(inner.T, weight.ndim), core, _pointwise(outer, weight.ndim)]

    def _split(self, matrix: Array) -> tuple[Array, Array]:
        """Return the two factors of the truncated SVD; the squared error is the sum of the dropped squared values.

        A pair of vectors is unique up to its sign, which libraries choose differently: here a factor's largest
        element is positive.
        """
        u, s, v = np.linalg.svd(matrix, full_matrices=False)
        sign = np.sign(u[np.abs(u).argmax(axis=0), np.arange(len(s))])
        root, rank = np.sqrt(s), self._rank(s)
        return (u * sign * root)[:, :rank], ((sign * root)[:, None] * v)[:rank]

    def _basis(self, matrix: Array) -> Array:
        u, s, _ = np.linalg.svd(matrix, full_matrices=False)
        basis: Array = u[:, : self._rank(s)]
        return basis

    def _rank(self, values: Array) -> int:
        if self.rank is not None:
            return max(1, int(np.ceil(self.rank * len(values) - 1e-9)))
        held = np.cumsum(values**2) / max(float(np.sum(values**2)), np.finfo(np.float64).tiny)
        return min(len(values), int(np.searchsorted(held, (self.energy or 1) - 1e-12)) + 1)


def _pointwise(matrix: Array, rank: int) -> Array:
    return matrix.reshape(*matrix.shape, *[1] * (rank - 2))


def _single(array: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(array, np.float32)


def _replace_convolution(node: Node, kernels: Sequence[Array], names: Names) -> None:
    """Put a chain of convolutions in the place of one: the one that is not 1 x 1 (or the first) keeps its geometry."""
    spatial = {name: value for name in _SPATIAL if (value := attribute(node, name)) is not None}
    keeper = next((i for i, kernel in enumerate(kernels) if kernel[0, 0].size > 1), 0)
    new, x = Substitute(node, names), node.inputs[0]
    for number, kernel in enumerate(kernels):
        inputs = [x, new.constant(_single(kernel), f"kernel{number}")]
        if number == len(kernels) - 1 and len(node.inputs) > 2:
            inputs.append(node.inputs[2])
        x = new.add("Conv", inputs, f"part{number}", **(spatial if number == keeper else {}))
    new.finish()
