"""Linear layers as a few dense blocks behind permutations (MPDCompress, Supic et al. 2018)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galen.ir import Model, UsageError
from galen.ir.edit import Names, attribute, const_value
from galen.passes import origin
from galen.passes.base import Pass, bound
from galen.passes.layers import Substitute, chosen_layers
from galen.passes.quantizable import Layer


@dataclass(frozen=True)
class BlockDiagonal(Pass, name="block-diagonal"):
    """Keep `blocks` dense blocks of every linear layer's weight, hidden by random permutations of both its axes.

    What lies outside the mask P_r BlockDiag P_c is dropped: parameters and multiplications divide by `blocks`.
    A layer is rewritten as Gather, one small product per block, Gather; one whose axes `blocks` does not divide stays.

    Attributes:
        layers: names or patterns of the layers to rewrite.
        shuffle: permute at random; without it stacked layers fall apart into independent networks.
    """

    blocks: int = 4
    layers: tuple[str, ...] = ("*",)
    shuffle: bool = True
    seed: int | None = bound("seed")

    def __post_init__(self) -> None:
        if self.blocks < 2:
            raise UsageError("blocks is at least 2")

    def apply(self, model: Model, /) -> bool:
        """Return whether a layer was rewritten."""
        names, rng, changed = Names(model), np.random.default_rng(self.seed or 0), False
        for layer in chosen_layers(model, self.layers, ("Gemm", "MatMul")):
            weight = _matrix(layer)
            if weight is None or weight.shape[0] % self.blocks or weight.shape[1] % self.blocks:
                continue
            origin.stamp(model)
            rows, columns = (rng.permutation(n) if self.shuffle else np.arange(n) for n in weight.shape)
            _rewrite(layer, weight, rows.reshape(self.blocks, -1), columns.reshape(self.blocks, -1), names)
            changed = True
        return changed


def mask(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the mask `[K, N]` of blocks that join places `rows[b]` of the input with `columns[b]` of the output."""
    kept = np.zeros((rows.size, columns.size), bool)
    for ins, outs in zip(rows, columns, strict=True):
        kept[np.ix_(ins, outs)] = True
    return kept


def _matrix(layer: Layer) -> NDArray[np.float32] | None:
    """Return a linear layer's weight as `[K, N]`, None where its input's rank is not known."""
    weight, data = const_value(layer.node.inputs[layer.weight]), layer.node.inputs[0]
    if weight is None or weight.ndim != 2 or data is None or data.shape is None:
        return None
    return weight.T if layer.node.op_type == "Gemm" and attribute(layer.node, "transB", 0) else weight


def _rewrite(
    layer: Layer, weight: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64], names: Names
) -> None:
    data = layer.node.inputs[0]
    lead = [0] * (len(data.shape or ()) - 1) if data is not None else []
    blocks = np.stack([weight[np.ix_(ins, outs)] for ins, outs in zip(rows, columns, strict=True)])
    new = Substitute(layer.node, names)
    x = new.add("Gather", [data, new.constant(rows.ravel(), "rows")], "gather", axis=len(lead))
    x = new.add("Reshape", [x, new.constant(np.array([*lead, len(rows), 1, rows.shape[1]]), "split")], "blocks")
    x = new.add("MatMul", [x, new.constant(blocks, "weight")], "product")
    x = new.add("Reshape", [x, new.constant(np.array([*lead, columns.size]), "join")], "joined")
    x = new.add("Gather", [x, new.constant(np.argsort(columns.ravel()), "columns")], "scatter", axis=len(lead))
    if layer.node.op_type == "Gemm" and layer.bias is not None:
        new.add("Add", [x, layer.node.inputs[2]], "biased")
    new.finish()
