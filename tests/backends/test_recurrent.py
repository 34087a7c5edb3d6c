"""Recurrent layers equal onnxruntime: every cell, direction and initial state, on the emulated core and on the host."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

from galen.backends.build import compile as build
from galen.backends.execution import run_on_core
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir import Model
from galen.ir.execute import random_inputs, run
from galen.ir.io import from_proto

STEPS, BATCH, DEPTH, HIDDEN = 3, 2, 5, 6
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(cell: str, direction: str, states: int, **options: int) -> Model:
    """One layer with random weights; `states` initial states are inputs of the network."""
    rng, ways = np.random.default_rng(0), 2 if direction == "bidirectional" else 1
    rows = GATES[cell] * HIDDEN
    shapes = {"W": (ways, rows, DEPTH), "R": (ways, rows, HIDDEN), "B": (ways, 2 * rows)}
    weights = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32) * 0.5, n) for n, s in shapes.items()]
    given = ["h", "c"][:states]
    results = {"Y": (STEPS, ways, BATCH, HIDDEN), "Yh": (ways, BATCH, HIDDEN), "Yc": (ways, BATCH, HIDDEN)}
    names = list(results)[: 3 if cell == "LSTM" else 2]
    inputs = ["x", *shapes, *([""] if given else []), *given]
    node = helper.make_node(cell, inputs, names, hidden_size=HIDDEN, direction=direction, **options)

    def info(name: str, shape: tuple[int, ...]) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    fed = [info("x", (STEPS, BATCH, DEPTH)), *(info(name, (ways, BATCH, HIDDEN)) for name in given)]
    graph = helper.make_graph([node], "layer", fed, [info(n, results[n]) for n in names], weights)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(proto)
    return from_proto(proto)


@pytest.mark.parametrize(
    ("cell", "direction", "states", "options"),
    [
        ("LSTM", "forward", 0, {}),
        ("LSTM", "bidirectional", 2, {}),
        ("GRU", "reverse", 1, {"linear_before_reset": 1}),
        ("GRU", "bidirectional", 0, {"linear_before_reset": 0}),
        ("RNN", "forward", 1, {}),
    ],
)
def test_a_recurrent_layer_equals_onnxruntime(cell, direction, states, options, tmp_path: Path) -> None:
    network = layer(cell, direction, states, **options)
    inputs = random_inputs(network, np.random.default_rng(1))
    program = lower(network, find("cortex-a72"))
    assert "fallback" not in {call.kernel.family for call in program.calls}
    on_core, expected = run_on_core(program, inputs), run(network, inputs)
    on_host = build(network, find("host"), tmp_path / "net.so").run(inputs)
    for name, right in expected.items():
        np.testing.assert_allclose(on_core[name], right, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(on_host[name], right, rtol=1e-4, atol=1e-5)
