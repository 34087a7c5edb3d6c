"""Constants as parameters and buffers of a module, under their ONNX names."""

import numpy as np
import onnx_ir
from torch import Tensor, nn

_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "BatchNormalization", "PRelu"})
_FIXED = {
    "BatchNormalization": {3, 4},
    "Clip": {1, 2},
    "Pad": {2},
    "Pow": {1},
    "Resize": {1, 2},
    "Upsample": {1},
    "Where": {0, 1, 2},
    "OneHot": {2},
    "QuantizeLinear": {1, 2},
    "DequantizeLinear": {1, 2},
    "LSTM": {5, 6},
    "GRU": {5},
}
"""Inputs of operators that are not trained although they may be constant floats."""


def is_trained(array: np.ndarray, node: onnx_ir.Node, index: int) -> bool:
    """Return whether training changes a constant that is input `index` of a node."""
    if array.dtype.kind != "f" or index in _FIXED.get(node.op_type, ()):
        return False
    return node.op_type in _LAYERS or array.size > 1


class Store:
    """Tensors in a tree of modules: `root`."""

    def __init__(self) -> None:
        self.root = nn.Module()
        self._count = 0

    def register(self, name: str, tensor: Tensor, *, trained: bool) -> str:
        """Store a tensor under its ONNX name, dots being submodules, or under a flat name where that is impossible."""
        path = name.split(".")
        if not all(path) or not self._is_free(path):
            path = [f"{name.replace('.', '_') or 'constant'}_{self._count}"]
        self._count += 1
        owner = self.root
        for part in path[:-1]:
            if part not in owner._modules:
                owner.add_module(part, nn.Module())
            owner = owner.get_submodule(part)
        if trained and tensor.is_floating_point():
            owner.register_parameter(path[-1], nn.Parameter(tensor))
        else:
            owner.register_buffer(path[-1], tensor)
        return ".".join(path)

    def _is_free(self, path: list[str]) -> bool:
        owner = self.root
        for part in path[:-1]:
            if part in owner._modules:
                owner = owner.get_submodule(part)
            else:
                return not hasattr(owner, part)
        return not hasattr(owner, path[-1])
