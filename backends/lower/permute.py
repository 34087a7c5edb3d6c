"""Transpose: between NCHW and NHWC it only changes how an image is looked at, elsewhere it is a copy."""

from galen.backends.kernels.base import Image
from galen.backends.kernels.layout import Move
from galen.backends.kernels.permute import Permute
from galen.backends.lower.lowering import Lowering
from galen.ir import Node
from galen.ir.edit import attribute

TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def transpose(low: Lowering, node: Node) -> bool:
    """Lower Transpose."""
    source, output = node.inputs[0], node.outputs[0]
    shape, spec = low.shape(source), low.spec(output)
    order = tuple(attribute(node, "perm", range(len(shape))[::-1]))
    if order == TO_CHANNELS_FIRST and not low.is_image(source):
        n, h, w, c = shape
        rows, image = Image(n, h, w, c, lanes=1, dtype=spec.dtype), low.sink(output)
        low.call(Move(rows, image, (h, w, c)), (low.dense(source), low.define(output, image)), node)
        return True
    if order == TO_CHANNELS_LAST and low.is_image(source):
        place = low.image(source)
        n, c, h, w = shape
        rows = Image(n, h, w, c, lanes=1, dtype=spec.dtype)
        low.call(Move(place.layout, rows, (h, w, c)), (place.buffer, low.define(output, spec)), node)
        return True
    if moves_ones_only(shape, order):
        low.alias(output, low.view(low.dense(source), spec.shape), spec)
        return True
    low.call(Permute(shape, order, spec.dtype), (low.dense(source), low.define(output, spec)), node)
    return True


def moves_ones_only(shape: tuple[int, ...], order: tuple[int, ...]) -> bool:
    """Return whether the axes longer than 1 keep their order, so that memory stays as it is."""
    kept = [axis for axis in order if shape[axis] > 1]
    return kept == sorted(kept)
