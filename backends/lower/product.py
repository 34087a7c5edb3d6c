"""MatMul of two computed tensors."""

from math import prod

from galen.backends.kernels.product import Product
from galen.backends.kernels.registers import best_tile, vector
from galen.backends.lower.fuse import epilogue
from galen.backends.lower.lowering import FLOATS, Lowering
from galen.ir import Node


def product(low: Lowering, node: Node) -> bool:
    """Lower MatMul of tensors with equal leading axes, or of a tensor with a matrix."""
    a, b = (low.shape(value) for value in node.inputs)
    spec = low.spec(node.outputs[0])
    if spec.dtype not in FLOATS or len(a) < 2 or len(b) < 2:
        return False
    if prod(b[:-2]) == 1 and len(a) >= len(b):
        batch, m = 1, prod(a[:-1])
    elif a[:-2] == b[:-2]:
        batch, m = prod(a[:-2]), a[-2]
    else:
        return False
    k, n = b[-2:]
    tile = best_tile(n, m, low.target, unit=vector(spec.dtype))
    after = epilogue(low, node.outputs[0], spec)
    result = low.spec(after.value)
    kernel = Product(batch, m, k, n, tile, after.steps, spec.dtype, result.dtype)
    left = low.view(low.dense(node.inputs[0]), (batch, m, k))
    right = low.view(low.dense(node.inputs[1]), (batch, k, n))
    out = low.view(low.define(after.value, result), (batch, m, n))
    low.call(kernel, (left, right, *after.operands, out), node)
    return True
