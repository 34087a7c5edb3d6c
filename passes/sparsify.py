"""N:M sparsity: of every M weights along the summed axis, the N largest stay."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galen.ir import Model, UsageError
from galen.ir.edit import Names, const_value, own_initializer, set_initializer
from galen.passes import origin
from galen.passes.base import Pass
from galen.passes.layers import chosen_layers

OPERATORS = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True)
class Sparsify(Pass, name="sparsify"):
    """Zero all but the `n` largest weights of every `m` consecutive ones that one output sums (Mishra et al. 2021).

    Attributes:
        layers: names or patterns of the layers to sparsify. A layer whose sums are no multiple of `m` stays dense.
    """

    n: int = 2
    m: int = 4
    layers: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        if not 1 <= self.n < self.m:
            raise UsageError(f"{self.n}:{self.m} is no sparsity: n is at least 1 and below m")

    def apply(self, model: Model, /) -> bool:
        """Return whether a weight was zeroed."""
        names, changed = Names(model), False
        for layer in chosen_layers(model, self.layers, OPERATORS):
            weight = const_value(layer.node.inputs[layer.weight])
            if weight is None or layer.axis is None:
                continue
            rows = np.moveaxis(weight, layer.axis, 0)
            sparse = np.moveaxis(self._largest(rows.reshape(len(rows), -1)).reshape(rows.shape), 0, layer.axis)
            if not np.array_equal(sparse, weight):
                origin.stamp(model)
                set_initializer(own_initializer(layer.node, layer.weight, names), sparse)
                changed = True
        return changed

    def _largest(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        if rows.shape[1] % self.m:
            return rows
        blocks = rows.reshape(len(rows), -1, self.m)
        places = np.argsort(-np.abs(blocks), axis=2, kind="stable")[:, :, : self.n]
        kept = np.zeros_like(blocks)
        np.put_along_axis(kept, places, np.take_along_axis(blocks, places, axis=2), axis=2)
        return kept.reshape(rows.shape)
