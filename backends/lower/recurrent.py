"""LSTM, GRU and RNN: per direction one matrix product for all steps, and one kernel that steps through time."""

from typing import Any

import numpy as np

from galen.backends.kernels.base import Image, Spec
from galen.backends.kernels.concat import Concat
from galen.backends.kernels.conv import DirectConv
from galen.backends.kernels.layout import Move
from galen.backends.kernels.recurrent import GATES, Cell, Recurrent
from galen.backends.kernels.registers import best_tile
from galen.backends.kernels.window import Window
from galen.backends.lower.lowering import Lowering
from galen.ir import Node, Value
from galen.ir.edit import attribute, const_value

_ACTIVATIONS = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}


def recurrent(low: Lowering, node: Node) -> bool:
    """Lower LSTM, GRU and RNN with constant weights, the usual activations and sequences of one length."""
    given: list[Value | None] = [*node.inputs, *[None] * 8]
    weights = [const_value(value) for value in given[1:4]]
    if weights[0] is None or weights[1] is None or (given[3] is not None and weights[2] is None):
        return False
    if given[4] is not None or given[7] is not None or not _is_usual(node):
        return False
    directions = {"forward": [False], "reverse": [True]}.get(attribute(node, "direction", "forward"), [False, True])
    results = [
        _direction(low, node, [w[d] if w is not None else None for w in weights], d, reverse=reverse)
        for d, reverse in enumerate(directions)
    ]
    for output, parts in zip(node.outputs, zip(*results, strict=True), strict=False):
        if output.uses() or output.is_graph_output():
            _join(low, node, output, list(parts))
    return True


def _is_usual(node: Node) -> bool:
    kinds = list(attribute(node, "activations", _ACTIVATIONS[node.op_type]))
    usual = _ACTIVATIONS[node.op_type]
    special = [attribute(node, name, 0) for name in ("clip", "input_forget", "layout")]
    return not any(special) and kinds == usual * (len(kinds) // len(usual))


def _direction(low: Lowering, node: Node, weights: list[Any], index: int, *, reverse: bool) -> tuple[int, ...]:
    """Call the kernels of one direction and return the buffers that they write."""
    of_inputs, of_state, bias = weights
    steps, batch, _ = low.shape(node.inputs[0])
    cell: Cell = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}[node.op_type]  # type: ignore[assignment]
    if cell == "gru" and not attribute(node, "linear_before_reset", 0):
        cell = "gru-reset-before"
    kernel = Recurrent(cell, steps, batch, of_state.shape[-1], reverse)
    gates = kernel.hidden * GATES[cell]
    bias = np.zeros(2 * gates, np.float32) if bias is None else bias
    projected = _project(low, node, kernel, kernel.pad(of_inputs), kernel.pad(bias[:gates]))
    constants = low.constant(kernel.pack_weights(of_state)), low.constant(kernel.pad(bias[gates:]))
    states = [_initial(low, node, kernel, value, index) for value in [*node.inputs[5:], None, None][: kernel.states]]
    results = tuple(low.buffer(spec) for spec in kernel.args[-kernel.outputs :])
    low.call(kernel, (projected, *constants, *states, *results), node)
    return results


def _project(low: Lowering, node: Node, kernel: Recurrent, weights: np.ndarray, bias: np.ndarray) -> int:
    """Multiply the inputs of all steps with `weights` `[columns, depth]`."""
    rows = kernel.steps * kernel.batch
    source, sink = Image(1, 1, rows, weights.shape[1], lanes=1), Image(1, 1, rows, kernel.columns, lanes=1)
    product = DirectConv(source, sink, Window(1, 1), (), best_tile(kernel.columns, rows, low.target))
    packed = low.constant(product.pack_weights(weights[:, :, None, None])), low.constant(product.pack_bias(bias))
    out = low.buffer(sink.spec)
    low.call(product, (low.view(low.dense(node.inputs[0]), source.spec.shape), *packed, out), node)
    return low.view(out, kernel.args[0].shape)


def _initial(low: Lowering, node: Node, kernel: Recurrent, value: Value | None, index: int) -> int:
    """Return the initial state `[batch, hidden]` of direction `index`, zeros by default."""
    spec = Spec((kernel.batch, kernel.hidden), "float32")
    if value is None:
        return low.constant(np.zeros(spec.shape, np.float32))
    every = Image(1, 1, low.shape(value)[0], kernel.batch * kernel.hidden, lanes=1)
    one = Image(1, 1, 1, every.c, lanes=1)
    source, out = low.view(low.dense(value), every.spec.shape), low.buffer(one.spec)
    if every == one:
        return low.view(source, spec.shape)
    low.call(Move(every, one, (1, 1, one.c), (0, index, 0)), (source, out), node)
    return low.view(out, spec.shape)


def _join(low: Lowering, node: Node, output: Value, parts: list[int]) -> None:
    """Define `output`, whose directions stand before the batch, from the buffers of the directions."""
    spec = low.spec(output)
    if len(parts) == 1:
        low.alias(output, low.view(parts[0], spec.shape), spec)
        return
    steps = spec.shape[0] if len(spec.shape) == 4 else 1
    each = Image(1, 1, steps, spec.shape[-1] * spec.shape[-2], lanes=1)
    whole = Image(1, 1, steps, each.c * len(parts), lanes=1)
    sources = [low.view(part, each.spec.shape) for part in parts]
    low.call(
        Concat((each,) * len(parts), whole), (*sources, low.view(low.define(output, spec), whole.spec.shape)), node
    )
