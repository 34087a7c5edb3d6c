"""A convolutional network as ncnn's `.param` text: fp32, or with int8 layers as `ncnn2int8` would make them.

    param(model, "int8") -> str

Weights are left out: ncnn reads zeros in their place, as its own benchmark does. Activations are fused into the
convolutions before them, and an int8 convolution that only others of its kind read hands on int8.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from galen.ir import Model, Node, Value
from galen.ir.edit import attribute, const_value
from galen.ir.shapes import infer, static_shape

Arithmetic = Literal["fp32", "int8"]

_FUSED = {"Relu": "9=1", "HardSwish": "9=6 -23310=2,1.666667e-01,5.000000e-01"}
_ELEMENTWISE = {
    "Relu": "ReLU",
    "Sigmoid": "Sigmoid",
    "HardSwish": "HardSwish 0=1.666667e-01 1=5.000000e-01",
    "HardSigmoid": "HardSigmoid 0=1.666667e-01 1=5.000000e-01",
    "Add": "BinaryOp 0=0",
    "Mul": "BinaryOp 0=2",
    "GlobalAveragePool": "Pooling 0=1 4=1",
    "MaxPool": "Pooling 0=0 1=3 2=2 3=1 5=1",  # ResNet's: 3x3, stride 2, padding 1
    "Flatten": "Flatten",
}


def param(model: Model, arithmetic: Arithmetic) -> str:
    """Return the network, whose BatchNormalization must have been folded.

    Raises:
        ValueError: it has an operator that this exporter does not know.
    """
    infer(model)
    export = _Export(model, int8=arithmetic == "int8")
    lines = list(export.lines())
    blobs = sum(int(line.split()[3]) for line in lines)
    return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""])


class _Export:
    def __init__(self, model: Model, *, int8: bool) -> None:
        self.model, self.int8 = model, int8
        self.names: dict[Value, str] = {}
        self.taken: Counter[Value] = Counter()
        self.skipped: set[Node] = set()

    def lines(self) -> Iterator[str]:
        (source,) = [v for v in self.model.graph.inputs if v.name not in self.model.graph.initializers]
        _, channels, height, width = static_shape(source)
        yield f"Input data 0 1 data 0={width} 1={height} 2={channels}"
        yield from self._publish(source, "data")
        for number, node in enumerate(self.model.graph):
            if node not in self.skipped:
                yield from self._node(node, f"n{number}")

    def _node(self, node: Node, name: str) -> Iterator[str]:
        inputs = [self._take(v) for v in node.inputs if v is not None and const_value(v) is None]
        if node.op_type in ("Conv", "Gemm"):
            kind, options, result = self._layer(node)
        elif node.op_type == "Sigmoid" and (product := self._gate(node)) is not None:
            kind, options, result = "Swish", "", product.outputs[0]
            self.skipped.add(product)
        elif node.op_type == "Clip":
            kind, options, result = "Clip", "0=0.0 1=6.0", node.outputs[0]
        elif node.op_type in _ELEMENTWISE:
            kind, _, options = _ELEMENTWISE[node.op_type].partition(" ")
            result = node.outputs[0]
        else:
            raise ValueError(f"{node.name}: ncnn's form of {node.op_type} is not known here")
        yield f"{kind} {name} {len(inputs)} 1 {' '.join(inputs)} {name} {options}".rstrip()
        yield from self._publish(result, name)

    def _layer(self, node: Node) -> tuple[str, str, Value]:
        weights = const_value(node.inputs[1])
        if node.op_type == "Gemm":
            return "InnerProduct", f"0={weights.shape[0]} 1=1 2={weights.size}{' 8=2' * self.int8}", node.outputs[0]
        groups, (outputs, _, side, _) = attribute(node, "group", 1), weights.shape
        stride, pad = attribute(node, "strides", (1, 1))[0], attribute(node, "pads", (0,) * 4)[0]
        options = f"0={outputs} 1={side} 3={stride} 4={pad} 5=1 6={weights.size}"
        activation, result = self._activation(node)
        term = (1 if groups > 1 else 2) + 100 * self._feeds_int8(result)
        options += f"{f' 7={groups}' if groups > 1 else ''}{f' 8={term}' if self.int8 else ''}{activation}"
        return "ConvolutionDepthWise" if groups > 1 else "Convolution", options, result

    def _activation(self, node: Node) -> tuple[str, Value]:
        """Return the option of the activation that alone reads `node`, and its result."""
        value = node.outputs[0]
        readers = [use.node for use in value.uses()]
        if len(readers) == 1 and readers[0].op_type in (*_FUSED, "Clip"):
            self.skipped.add(readers[0])
            fused = _FUSED.get(readers[0].op_type, "9=3 -23310=2,0.000000e+00,6.000000e+00")
            return f" {fused}", readers[0].outputs[0]
        return "", value

    def _feeds_int8(self, value: Value) -> bool:
        return all(use.node.op_type == "Conv" for use in value.uses())

    def _gate(self, node: Node) -> Node | None:
        """Return the product of a Sigmoid with its own input."""
        readers = [use.node for use in node.outputs[0].uses()]
        return next((r for r in readers if r.op_type == "Mul" and node.inputs[0] in r.inputs), None)

    def _publish(self, value: Value, name: str) -> Iterator[str]:
        """Name a blob; ncnn wants one blob for every reader."""
        self.names[value] = name
        readers = sum(use.node not in self.skipped for use in value.uses())
        readers -= any(self._gate(use.node) is not None for use in value.uses() if use.node.op_type == "Sigmoid")
        if readers > 1:
            self.names[value] = f"{name}_"
            yield f"Split split_{name} 1 {readers} {name} {' '.join(f'{name}_{i}' for i in range(readers))}"

    def _take(self, value: Value) -> str:
        name = self.names[value]
        if not name.endswith("_"):
            return name
        self.taken[value] += 1
        return f"{name}{self.taken[value] - 1}"
