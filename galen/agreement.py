"""Whether a binary computes its model: its outputs beside onnxruntime's, and what rounding may make of them."""

from collections.abc import Mapping

import numpy as np

from galen.ir import DataType, GalenError, Model, Node
from galen.ir.clone import clone
from galen.ir.edit import all_nodes, set_initializer
from galen.ir.execute import run

Arrays = Mapping[str, np.ndarray]

EXACT, ROUNDED = 1e-3, 0.02
"""Largest difference to onnxruntime, as a share of the largest output: in fp32; where there are integers or fp16."""
SHAKE, SHAKES = 1e-5, 8
"""Relative error of fp32 sums, which depend on their order; how often it is made up."""
MARGIN = 2
"""How much more than that a difference may be: few are made up."""


def compare(model: Model, actual: Arrays, inputs: Arrays, *, where: str) -> float:
    """Return the largest absolute difference of `actual` to what onnxruntime computes.

    Raises:
        GalenError: it is more than rounding explains; names `where` and the output.
    """
    expected = run(model, inputs)
    errors = {name: _distance(actual[name], array) for name, array in expected.items()}
    rounds = any(map(_rounds, all_nodes(model)))
    limits = {name: (ROUNDED if rounds else EXACT) * _largest(array) for name, array in expected.items()}
    beyond = [name for name, error in errors.items() if not error <= limits[name]]
    slack = unrest(model, inputs, expected) if beyond and rounds else {}
    for name in beyond:
        if not errors[name] <= MARGIN * slack.get(name, 0.0):
            text = f"output {name} differs by {errors[name]:.3g} from onnxruntime's"
            raise GalenError(text, where=where, hint="please report the model")
    return max(errors.values(), default=0.0)


def unrest(model: Model, inputs: Arrays, expected: Arrays) -> dict[str, float]:
    """Return how far the outputs move when fp32 weights do as little as sums that are rounded in another order.

    A number between two integers becomes either, and everything behind it another one: where fp32 layers stand before
    integers, nobody's outputs are the only right ones.
    """
    moved = dict.fromkeys(expected, 0.0)
    for seed in range(SHAKES):
        for name, array in run(_shaken(model, np.random.default_rng(seed)), inputs).items():
            moved[name] = max(moved[name], _distance(array, expected[name]))
    return moved


def _shaken(model: Model, generator: np.random.Generator) -> Model:
    """Return a copy whose fp32 matrices are off by up to `SHAKE`."""
    copy = clone(model)
    for value in list(copy.graph.initializers.values()):
        tensor = value.const_value
        if tensor is not None and tensor.dtype == DataType.FLOAT and len(tensor.shape) > 1:
            array = tensor.numpy()
            noise = generator.uniform(-SHAKE, SHAKE, array.shape)
            set_initializer(value, (array * (1 + noise)).astype(np.float32))
    return copy


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(np.float64) - b).max(initial=0.0))


def _largest(array: np.ndarray) -> float:
    return max(float(np.abs(array).max(initial=0.0)), 1e-12)


def _rounds(node: Node) -> bool:
    """Return whether a node works on integers that stand for real numbers, or on fp16."""
    half = any(value is not None and value.dtype == DataType.FLOAT16 for value in node.inputs)
    return half or "QuantizeLinear" in node.op_type
