"""QuantizeLinear, perhaps Clip, DequantizeLinear of one activation: what fake quantization does in one step."""

from dataclasses import dataclass

import numpy as np
import onnx_ir

from galen.ir.edit import const_value


@dataclass(frozen=True)
class Pair:
    """A float value that is rounded to `(q - zero) * scale`, q from `low` to `high`."""

    source: onnx_ir.Value
    scale: onnx_ir.Value
    zero: onnx_ir.Value
    low: int
    high: int


def activation_pair(node: onnx_ir.Node) -> Pair | None:
    """Return the pair that ends in the DequantizeLinear `node`, None unless it has one constant fp32 scale."""
    before = node.inputs[0].producer() if node.inputs[0] is not None else None
    clip = before if before is not None and before.op_type == "Clip" else None
    if clip is not None and clip.inputs[0] is not None:
        before = clip.inputs[0].producer()
    if before is None or before.op_type != "QuantizeLinear" or len(before.inputs) < 3 or len(node.inputs) < 3:
        return None
    source, scale, zero = before.inputs[:3]
    constants = [(const_value(a), const_value(b)) for a, b in zip(before.inputs[1:3], node.inputs[1:3], strict=True)]
    if source is None or scale is None or zero is None:
        return None
    if any(a is None or b is None or a.size != 1 or not np.array_equal(a, b) for a, b in constants):
        return None
    kind = constants[1][0]
    if constants[0][0] is None or constants[0][0].dtype != np.float32 or kind is None or kind.dtype.itemsize != 1:
        return None
    limits = np.iinfo(kind.dtype)
    low, high = int(limits.min), int(limits.max)
    if clip is not None:
        bounds = [const_value(value) for value in clip.inputs[1:3]]
        if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:
            return None
        low, high = int(bounds[0].item()), int(bounds[1].item())
    return Pair(source, scale, zero, low, high)
