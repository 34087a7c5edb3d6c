"""Element-wise operators that follow no operator which could take them into its epilogue."""

from galen.backends.kernels.base import Image
from galen.backends.kernels.elementwise import Elementwise
from galen.backends.lower.axes import VOLUME, rows_of
from galen.backends.lower.fuse import BINARY, epilogue, step_of
from galen.backends.lower.lowering import FLOATS, Lowering
from galen.backends.lower.places import Layout
from galen.ir import Node, Value


def elementwise(low: Lowering, node: Node) -> bool:
    """Lower an activation, a binary operator or a Cast, and what element-wise follows, in the layout of its input."""
    value = _running_input(low, node)
    output = node.outputs[0]
    if value is None or low.spec(value).dtype not in FLOATS or low.spec(output).dtype not in FLOATS:
        return False
    shape = low.shape(output)
    layout: Layout = low.sink(output) if 3 <= len(shape) <= VOLUME and low.is_image(value) else low.spec(output)
    first = step_of(low, node, value, layout)
    if first is None:
        return False
    after = epilogue(low, output, layout)
    steps, operands = (first[0], *after.steps), (*first[1], *after.operands)
    if isinstance(layout, Image):
        source = low.image(value)
        sink = low.sink(after.value)
        kernel = Elementwise(source.layout, sink, steps)
        low.call(kernel, (source.buffer, *operands, low.define(after.value, sink)), node)
        return True
    rows, columns = rows_of(shape)
    result = low.spec(after.value)
    given, made = (Image(1, 1, rows, columns, lanes=1, dtype=s.dtype) for s in (low.spec(value), result))
    buffer = low.view(low.dense(value), given.spec.shape)
    out = low.view(low.define(after.value, result), made.spec.shape)
    low.call(Elementwise(given, made, steps), (buffer, *operands, out), node)
    return True


def _running_input(low: Lowering, node: Node) -> Value | None:
    """Return the input of the output's shape that the steps start from, an image where there is one."""
    if node.op_type not in BINARY:
        return node.inputs[0]
    shape = low.shape(node.outputs[0])
    whole = [v for v in node.inputs if v is not None and low.shape(v) == shape and low.known(v)]
    return next((v for v in whole if low.is_image(v)), whole[0] if whole else None)
