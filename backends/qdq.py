"""Reading the QDQ form (see `galen.passes.quantize`): which integers stand behind a float value, and before it."""

from collections.abc import Iterator, Sequence
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


def rounded(node: Node, index: int = 0) -> Rounded | None:
    """Return how an output of `node` is quantized, None when anything but a quantization reads it."""
    value = node.outputs[index]
    between: list[Node] = []
    low, high = -np.inf, np.inf
    while (reader := only_reader(value)) is not None and (bounds := clip_bounds(reader)) is not None:
        low, high = (min(max(bound, bounds[0]), bounds[1]) for bound in (low, high))
        between.append(reader)
        value = reader.outputs[0]
    if reader is None or reader.op_type != "QuantizeLinear" or reader.inputs[0] is not value:
        return None
    return stored(reader, (low, high), between)


def stored(
    quantize: Node, bounds: tuple[float, float] = (-np.inf, np.inf), before: Sequence[Node] = ()
) -> Rounded | None:
    """Return what a QuantizeLinear and a Clip of integers after it store, given `bounds` of the float value."""
    scale = const_value(quantize.inputs[1])
    zero = const_value(quantize.inputs[2]) if len(quantize.inputs) > 2 else np.zeros((), np.uint8)
    if scale is None or zero is None or scale.size != 1 or zero.dtype.itemsize != 1:
        return None
    step, move, limits = np.float32(scale.item()), int(zero.item()), np.iinfo(zero.dtype)
    low, high = (int(np.clip(np.rint(np.float32(b) / step) + move, limits.min, limits.max)) for b in bounds)
    q, nodes = quantize.outputs[0], (*before, quantize)
    clip = only_reader(q)
    if clip is not None and clip.op_type == "Clip" and (narrow := clip_bounds(clip)) is not None:
        low, high = (int(np.clip(bound, *narrow)) for bound in (low, high))
        q, nodes = clip.outputs[0], (*nodes, clip)
    return Rounded(q, step, move, low, high, zero.dtype, nodes)


def only_reader(value: Value) -> Node | None:
    """Return the node that alone reads `value`, None when there are several or the model returns it."""
    uses = list(value.uses())
    return uses[0].node if len(uses) == 1 and not value.is_graph_output() else None


def clip_bounds(node: Node) -> tuple[float, float] | None:
    """Return between what a Relu or Clip limits its input, None for other operators or computed bounds."""
    if node.op_type == "Relu":
        return 0.0, np.inf
    if node.op_type != "Clip":
        return None
    low, high = _clip_inputs(node)
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
