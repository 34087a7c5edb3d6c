"""Resize and Upsample of images, DepthToSpace."""

from collections.abc import Callable

import numpy as np

from galen.backends.kernels.base import Image
from galen.backends.kernels.interleave import Interleave, Order
from galen.backends.kernels.resample import Resample
from galen.backends.lower.axes import image_axes
from galen.backends.lower.fuse import epilogue
from galen.backends.lower.lowering import Lowering
from galen.ir import GalenError, Node
from galen.ir.edit import attribute, const_value

Table = tuple[np.ndarray, np.ndarray]
"""Positions `[extent, taps]` int32 and weights `[extent, taps]` fp32 along one axis."""

COORDINATES: dict[str, Callable[[np.ndarray, int, float], np.ndarray]] = {
    "half_pixel": lambda o, _, scale: (o + 0.5) / scale - 0.5,
    "pytorch_half_pixel": lambda o, _, scale: (o + 0.5) / scale - 0.5 if len(o) > 1 else o * 0.0,
    "half_pixel_symmetric": lambda o, n, scale: (n - len(o) / scale) / 2 + (o + 0.5) / scale - 0.5,
    "asymmetric": lambda o, _, scale: o / scale,
    "align_corners": lambda o, n, _: o * ((n - 1) / max(len(o) - 1, 1)),
}
"""Output positions, extent of the input and scale -> input positions; ONNX, Resize."""

ROUNDING: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def resize(low: Lowering, node: Node) -> bool:
    """Lower Resize (nearest, linear, cubic) and Upsample along the columns and rows of fp32 images."""
    shape, result = low.shape(node.inputs[0]), low.shape(node.outputs[0])
    tables = tables_of(node, shape, result)
    if tables is None or low.spec(node.outputs[0]).dtype != "float32":
        return False
    n, c, h, w = image_axes(result)
    after = epilogue(low, node.outputs[0], Image(n, h, w, c))
    source, sink = low.image(node.inputs[0]), Image(n, h, w, c, low.border(after.value))
    kernel = Resample(source.layout, sink, (tables[0][0].shape[1], tables[1][0].shape[1]), after.steps)
    constants = [low.constant(array) for table in tables for array in table]
    low.call(kernel, (source.buffer, *constants, *after.operands, low.define(after.value, sink)), node)
    return True


def tables_of(node: Node, shape: tuple[int, ...], result: tuple[int, ...]) -> list[Table] | None:
    """Return the tables of rows and columns, None unless an image is resized, in a known way."""
    if len(shape) not in (3, 4) or shape[:2] != result[:2]:
        return None
    if attribute(node, "antialias", 0):
        raise GalenError("antialias is not known here", where=f"node {node.name}", hint="set it to 0")
    scales = _scales(node, shape, result) if _transformation(node) in COORDINATES else None
    if scales is None:
        return None
    tables = [_table(node, *axis) for axis in zip(shape[2:], result[2:], scales[2:], strict=True)]
    return tables if len(shape) == 4 else [(np.zeros((1, 1), np.int32), np.ones((1, 1), np.float32)), *tables]


def depth_to_space(low: Lowering, node: Node) -> bool:
    """Lower DepthToSpace of fp32 images."""
    if low.spec(node.outputs[0]).dtype != "float32":
        return False
    n, c, h, w = image_axes(low.shape(node.outputs[0]))
    side = attribute(node, "blocksize")
    after = epilogue(low, node.outputs[0], Image(n, h, w, c))
    source, sink = low.image(node.inputs[0]), Image(n, h, w, c, low.border(after.value))
    kernel = Interleave(source.layout, sink, side, side, order_of(node), steps=after.steps)
    low.call(kernel, (source.buffer, *after.operands, low.define(after.value, sink)), node)
    return True


def order_of(node: Node) -> Order:
    """Return the order of the channels that DepthToSpace reads."""
    return "places" if attribute(node, "mode", "DCR") == "DCR" else "channels"


def _transformation(node: Node) -> str:
    usual = "half_pixel" if node.op_type == "Resize" and len(node.inputs) > 2 else "asymmetric"  # before set 11
    return str(attribute(node, "coordinate_transformation_mode", usual))


def _scales(node: Node, shape: tuple[int, ...], result: tuple[int, ...]) -> list[float] | None:
    """Return the scale of every axis: as given, or the ratio of the extents where sizes are."""
    ratios = [out / extent for extent, out in zip(shape, result, strict=True)]
    place = 1 if node.op_type == "Upsample" or len(node.inputs) == 2 else 2
    given = node.inputs[place] if len(node.inputs) > place else None
    if given is None:
        return list(attribute(node, "scales", ratios))
    constant = const_value(given)
    if constant is None:
        return None
    if constant.size == 0:
        return ratios
    axes = attribute(node, "axes", range(len(shape)))
    for axis, scale in zip(axes, constant.ravel().tolist(), strict=True):
        ratios[axis] = scale
    return ratios


def _table(node: Node, extent: int, out: int, scale: float) -> Table:
    """Return which inputs make every output along one axis."""
    x = COORDINATES[_transformation(node)](np.arange(out, dtype=np.float64), extent, scale)
    mode = attribute(node, "mode", "nearest")
    if mode == "nearest" or extent == out:
        usual = "floor" if _transformation(node) == "asymmetric" and len(node.inputs) < 3 else "round_prefer_floor"
        places, weights = ROUNDING[str(attribute(node, "nearest_mode", usual))](x)[:, None], np.ones((out, 1))
    elif mode == "linear":
        first = np.floor(x)
        places, weights = first[:, None] + (0, 1), np.stack([first + 1 - x, x - first], axis=1)
    else:
        first = np.floor(x)
        places, weights = first[:, None] + (-1, 0, 1, 2), _cubic(x - first, attribute(node, "cubic_coeff_a", -0.75))
    if attribute(node, "exclude_outside", 0):
        weights = weights * ((places >= 0) & (places < extent))
        weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(places, 0, extent - 1).astype(np.int32), weights.astype(np.float32)


def _cubic(fraction: np.ndarray, a: float) -> np.ndarray:
    """Return the weights of four neighbours by cubic convolution (Keys 1981)."""
    d = np.stack([fraction + 1, fraction, 1 - fraction, 2 - fraction], axis=1)
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.asarray(np.where(d <= 1, near, far))
