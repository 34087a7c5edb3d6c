"""Lowering: from the graph to a straight list of kernel calls.

The convention
--------------
`lower(model, target)` prepares the model (`prepare`: shapes pinned, constants and BatchNorm folded), then visits its
nodes in order. For each it asks the rules of the node's operator type, in `table.RULES`, until one accepts::

    def convolution(low: Lowering, node: Node) -> bool: ...

A rule either returns False and has done nothing, or has appended calls (`low.call`) that compute the node's outputs,
told where they are (`low.define`), and returns True. A node that no rule accepts goes to `fallback`; one that even
this cannot lower is a `GalenError` with the node's name and operator.

*Where a value is.* A value has one or more places: an `Image` (NHWC with border, `kernels.base.Image`) or a `Spec`
(dense, in ONNX's own axis order). A rule asks for the form it wants with `low.image(value, border)` or
`low.dense(value)`, and conversions are inserted on demand, so transposes happen at the edges only. Images are written
with the border that their readers will ask for: `low.border(value)`, from `table.BORDERS`.

*Fusing.* A rule may compute more than its node: `fuse.epilogue(low, node)` follows the sole reader as long as it is
element-wise and returns the steps, their operands and the last value; `low.absorb` marks the nodes as done. What the
rule defines then is that last value.

*Integers.* A rule may leave a value to be made when somebody asks: `low.defer(value, make)` registers a function that
appends the calls and defines the value. The rule of DequantizeLinear defers its fp32 output, so that an integer rule,
which looks at the producer of its input instead, costs no conversion. Integer images are `Image(dtype="int8")`.
Rules of `lower.quantized` stand before those for fp32 in the table.
"""

from galen.backends.lower.lower import lower

__all__ = ["lower"]
