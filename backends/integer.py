"""The meaning of a quantized network: its integers in numpy, batched. Binaries and onnxruntime are held against it.

    outputs = run(model, {"input": images})        # any batch; fp32 outputs by name

Operators between DequantizeLinear and QuantizeLinear compute on integers as onnxruntime does when it fuses them
(`session.qdqisint8allowed`); acc is exact, everything else is fp32 rounded after each operation, `rint` half to even:

    Conv, Gemm, MatMul   acc = sum((x - x_zero) * w) + bias;  y = requantize(acc)     see `kernels.requantize`
    Add                  `kernels.requantize.add`
    Mul                  y = rint((a - a_zero) * (b - b_zero) * s + y_zero)           s = a_scale * b_scale / y_scale
    GlobalAveragePool    acc = sum(x - x_zero);  y = rint(acc * s) + y_zero           s = x_scale / (y_scale * count)
                         also ReduceMean over the image, and AveragePool whose window is the image
    AveragePool          y = rint(sum((x - x_zero) * x_scale) / count / y_scale + y_zero), summed in fp32 tap by tap

followed by clipping to the range, which holds fused Relu, Clip and widths below 8. All other operators are computed in
fp32 between the two, which for those that only move or compare numbers is exact, and for those of one variable a table.
"""

from collections.abc import Mapping

import numpy as np

from galen.backends.integer_layers import biased
from galen.backends.integer_rules import RULES, dequantize, quantize
from galen.backends.qdq import integers, rounded
from galen.backends.widen import widen
from galen.ir import GalenError, Model, Node, Value
from galen.ir.clone import clone
from galen.ir.edit import const_value
from galen.ir.execute import reference

Arrays = Mapping[str, np.ndarray]


def run(model: Model, inputs: Arrays) -> dict[str, np.ndarray]:
    """Compute the outputs of `model`, in integers wherever it is quantized.

    Raises:
        GalenError: an operator has no reference; names the node.
    """
    wide = clone(model)
    widen(wide)
    return _Run(wide, inputs).outputs()


class _Run:
    """One evaluation: the values so far; dequantized ones are computed only when read."""

    def __init__(self, model: Model, inputs: Arrays) -> None:
        self.model = model
        self.values: dict[Value, np.ndarray] = {v: inputs[str(v.name)] for v in model.graph.inputs if v.name in inputs}
        self.done: set[Node] = set()

    def outputs(self) -> dict[str, np.ndarray]:
        for node in self.model.graph:
            if node not in self.done and node.op_type != "DequantizeLinear" and not self._integer(node):
                self._float(node)
        return {str(value.name): self.get(value) for value in self.model.graph.outputs}

    def get(self, value: Value) -> np.ndarray:
        """Return the array behind `value`."""
        if value not in self.values:
            found = integers(value)
            array = dequantize(self.get(found.q), found) if found else const_value(value)
            if array is None:
                raise GalenError("is read before it is computed", where=f"value {value.name}")
            self.values[value] = array
        return self.values[value]

    def _integer(self, node: Node) -> bool:
        """Compute `node` and what follows it on integers, if it is an operator that does."""
        if node.op_type == "MatMul" and (whole := biased(node)) and rounded(whole.addition):
            return True  # with its bias
        rule, result = RULES.get(node.op_type), rounded(node)
        array = rule(node, result, self.get) if rule and result else None
        if array is None or result is None:
            return False
        self.values[result.q] = np.clip(array, result.low, result.high).astype(result.dtype)
        self.done.update(result.nodes)
        return True

    def _float(self, node: Node) -> None:
        operands = [None if value is None else self.get(value) for value in node.inputs]
        if (
            node.op_type == "QuantizeLinear"
            and operands[0] is not None
            and (scale := const_value(node.inputs[1])) is not None
            and scale.size == 1
        ):
            self.values[node.outputs[0]] = quantize(operands[0], scale, const_value(node.inputs[2]))
            return
        results = reference(node, operands, self.model.graph.opset_imports)
        if results is None:
            raise GalenError("has no reference in numpy", where=f"node {node.name} ({node.op_type})")
        self.values.update(zip(node.outputs, results, strict=False))
