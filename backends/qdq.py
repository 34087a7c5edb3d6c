"""Reading the QDQ form (see `galen.passes.quantize`): which integers stand behind a float value, and before it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from galen.ir import Node, Value
from galen.ir.edit import const_value


@dataclass(frozen=True)
class Integers:
    """A float value that is `(q - zero) * scale`.

    Attributes:
        q: the integer value that DequantizeLinear reads.
        scale, zero: arrays, one element per channel of `axis` or scalars.
    """

    q: Value
    scale: np.ndarray
    zero: np.ndarray
    axis: int

    @property
    def constant(self) -> np.ndarray | None:
        """The integers, when they are constant."""
        return const_value(self.q)


@dataclass(frozen=True)
class Rounded:
    """What becomes of an operator's output: clipped, quantized, stored.

    Attributes:
        q: the integer value to be computed.
        scale, zero, low, high: `q = clip(rint(value / scale) + zero, low, high)`.
        nodes: those between the operator and `q`, that computing `q` makes superfluous.
    """

    q: Value
    scale: np.float32
    zero: int
    low: int
    high: int
    dtype: np.dtype[Any]
    nodes: tuple[Node, ...]


def integers(value: Value | None) -> Integers | None:
    """Return the integers behind `value`, None when it does not come from DequantizeLinear with constant parameters."""
    node = value.producer() if value is not None else None
    if node is None or node.op_type != "DequantizeLinear":
        return None
    q, scale = node.inputs[0], const_value(node.inputs[1])
    if q is None or scale is None or "block_size" in node.attributes:
        return None
    zero = const_value(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(scale.shape, np.int8)
    axis = node.attributes.get_int("axis", 1)
    return None if zero is None else Integers(q, scale, zero, axis)


def activation(value: Value | None) -> Integers | None:
    """Return the integers behind `value` if they are a computed 8-bit tensor with one scale."""
    found = integers(value)
    if found is None or found.constant is not None or found.scale.size != 1 or found.zero.dtype.itemsize != 1:
        return None
    return found


def rounded(node: Node) -> Rounded | None:
    """Return how the only output of `node` is quantized, None when anything but a quantization reads it."""
    value, between = node.outputs[0], []
    low, high = -np.inf, np.inf
    while (reader := _only_reader(value)) is not None and (bounds := _bounds(reader)) is not None:
        low, high = (min(max(bound, bounds[0]), bounds[1]) for bound in (low, high))
        between.append(reader)
        value = reader.outputs[0]
    if reader is None or reader.op_type != "QuantizeLinear" or reader.inputs[0] is not value:
        return None
    scale, zero = (
        const_value(reader.inputs[1]),
        const_value(reader.inputs[2]) if len(reader.inputs) > 2 else np.uint8(0),
    )
    if scale is None or zero is None or scale.size != 1 or np.asarray(zero).dtype.itemsize != 1:
        return None
    between.append(reader)
    return _stored(reader, np.float32(scale.item()), np.asarray(zero), (low, high), between)


def _stored(
    quantize: Node, scale: np.float32, zero: np.ndarray, bounds: tuple[float, float], between: list[Node]
) -> Rounded:
    """Put float and integer bounds together."""
    limits = np.iinfo(zero.dtype)
    low, high = (int(np.clip(np.rint(np.float32(b) / scale) + zero.item(), limits.min, limits.max)) for b in bounds)
    q = quantize.outputs[0]
    clip = _only_reader(q)
    if clip is not None and clip.op_type == "Clip" and (narrow := _bounds(clip)) is not None:
        low, high = (int(np.clip(bound, *narrow)) for bound in (low, high))
        q, between = clip.outputs[0], [*between, clip]
    return Rounded(q, scale, int(zero.item()), low, high, zero.dtype, tuple(between))


def _only_reader(value: Value) -> Node | None:
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def _bounds(node: Node) -> tuple[float, float] | None:
    """Return between what a Relu or Clip limits its input, None for other operators or computed bounds."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    if node.op_type != "Clip":
        return None
    low, high = (list(_clip_inputs(node)) + [None, None])[:2]
    if (low is not None and np.size(low) != 1) or (high is not None and np.size(high) != 1):
        return None
    return (-np.inf if low is None else float(low.item()), np.inf if high is None else float(high.item()))


def _clip_inputs(node: Node) -> Iterator[np.ndarray | None]:
    """Yield the bounds of Clip: inputs since opset 11, attributes before; a computed bound counts as two."""
    for index, name in ((1, "min"), (2, "max")):
        if len(node.inputs) > index and node.inputs[index] is not None:
            bound = const_value(node.inputs[index])
            yield bound if bound is not None else np.zeros(2)
        elif (attribute := node.attributes.get(name)) is not None:
            yield np.asarray(attribute.as_float())
        else:
            yield None
