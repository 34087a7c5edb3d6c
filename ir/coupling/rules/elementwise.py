"""Element-wise operators: every axis passes, lengths of 1 are stretched (ONNX broadcasting, aligned at the right)."""

from galen.ir.coupling.axes import Axes
from galen.ir.coupling.rule import Rule

_OPERATORS = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh Bernoulli BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike
Ceil Celu Clip Cos Cosh Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity
IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu
Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
"""


def couple_elementwise(axes: Axes) -> None:
    """Tie every axis of every input to the axis of the outputs that it is aligned with."""
    tensors = [index for index, value in enumerate(axes.node.inputs) if value is not None]
    if any(axes.input_dims(index) is None for index in tensors) or axes.output_dims(0) is None:
        return
    for index in tensors:
        couple_broadcast_axes(axes, index)
    for axis in range(len(axes.output_dims(0) or ())):
        for output in range(1, len(axes.node.outputs)):
            axes.tie(axes.output(0, axis), axes.output(output, axis))


def couple_broadcast_axes(axes: Axes, index: int, *, drop: int = 0, output_drop: int | None = None) -> None:
    """Tie the axes of one input to those of output 0, without the last `drop` of the input, `output_drop` of both.

    What an input of unknown rank is combined with stays whole.
    """
    dims, out = axes.input_dims(index), axes.output_dims(0)
    if dims is None or out is None:
        if index < len(axes.node.inputs) and axes.node.inputs[index] is not None:
            for axis in range(len(out or ())):
                axes.freeze(axes.output(0, axis), f"{axes.label} reads a value of unknown rank")
        return
    lead = len(out) - (drop if output_drop is None else output_drop)
    for offset in range(1, len(dims) - drop + 1):
        axis, out_axis = len(dims) - drop - offset, lead - offset
        if dims[axis] != 1 and out_axis >= 0:
            axes.tie(axes.input(index, axis), axes.output(0, out_axis))


RULES = {op: Rule(couple_elementwise) for op in _OPERATORS.split()}
