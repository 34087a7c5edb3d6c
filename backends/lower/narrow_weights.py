"""Gemm and MatMul whose weights alone are integers: read from memory as such where that is what they wait for."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.narrow_product import NarrowProduct
from galen.backends.lower.axes import rows_of
from galen.backends.lower.lowering import Lowering
from galen.backends.qdq import integers
from galen.ir import Node
from galen.ir.edit import attribute, const_value
from galen.ir.shapes import static_shape

LARGE = 2 << 20
"""Bytes in fp32 from which weights do not stay in the caches of a small core."""
FEW_ROWS = 4
"""More rows share what is read from memory, so that fp32 gains more by its cheaper arithmetic."""


@dataclass(frozen=True)
class Narrow:
    """A product with integer weights `[k, columns]`, their scale per column, and a bias."""

    weights: np.ndarray
    scale: np.ndarray
    bias: np.ndarray | None

    @property
    def bits(self) -> Literal[4, 8]:
        """Width in which they are stored."""
        return 4 if np.abs(self.weights.astype(np.int16)).max(initial=0) <= 7 else 8


def narrow(node: Node) -> Narrow | None:
    """Return the operands of a large product with constant integer weights and few rows, None for any other node."""
    found = integers(node.inputs[1]) if node.op_type in ("Gemm", "MatMul") else None
    shape = static_shape(node.outputs[0])
    if found is None or found.constant is None or shape is None or found.constant.ndim != 2 or np.any(found.zero):
        return None
    plain = (
        attribute(node, "alpha", 1.0) == 1 and attribute(node, "beta", 1.0) == 1 and not attribute(node, "transA", 0)
    )
    if not plain or found.constant.size * 4 < LARGE or rows_of(shape)[0] > FEW_ROWS:
        return None
    transposed = node.op_type == "Gemm" and attribute(node, "transB", 0)
    weights = found.constant.T if transposed else found.constant
    bias = const_value(node.inputs[2]) if len(node.inputs) > 2 else None
    if found.constant.dtype != np.int8 or (found.scale.size > 1 and found.axis % 2 != 1 - bool(transposed)):
        return None
    if len(node.inputs) > 2 and (bias is None or bias.size != weights.shape[1]):
        return None
    return Narrow(weights, np.broadcast_to(found.scale.ravel(), (weights.shape[1],)), bias)


def product(low: Lowering, node: Node) -> bool:
    """Lower such a product."""
    found = narrow(node)
    if found is None:
        return False
    shape = low.shape(node.outputs[0])
    (rows, columns), k = rows_of(shape), len(found.weights)
    source, sink = Image(1, 1, rows, k, lanes=1), Image(1, 1, rows, columns, lanes=1)
    kernel = NarrowProduct(source, sink, found.bits)
    bias = np.zeros(columns, np.float32) if found.bias is None else found.bias.ravel()
    constants = (
        low.packed(kernel.args[1], lambda: kernel.pack(found.weights)),
        low.constant(kernel.pack_columns(found.scale)),
        low.constant(kernel.pack_columns(bias)),
    )
    image = low.view(low.dense(node.inputs[0]), source.spec.shape)
    out = low.define(node.outputs[0], Spec(shape, "float32"))
    low.call(kernel, (image, *constants, low.view(out, sink.spec.shape)), node)
    return True
