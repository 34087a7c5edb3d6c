"""LSTM and GRU as ONNX orders their gates."""

from collections.abc import Sequence

import torch
from torch import Tensor

from galen.ir.fx.operators.common import Table, refuse

_LSTM_GATES = (0, 2, 3, 1)
"""torch's input, forget, cell, output among ONNX's input, output, forget, cell."""
_GRU_GATES = (1, 0, 2)
"""torch's reset, update, new among ONNX's update, reset, hidden."""


def lstm(  # noqa: PLR0917 -- ONNX's inputs are positional
    x: Tensor,
    weight: Tensor,
    recurrent: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    initial_h: Tensor | None = None,
    initial_c: Tensor | None = None,
    peepholes: Tensor | None = None,
    *,
    hidden_size: int,
    direction: str = "forward",
    layout: int = 0,
) -> list[Tensor]:
    """LSTM: Y [time, directions, batch, hidden], last hidden and last cell state."""
    if lengths is not None or peepholes is not None or layout or direction == "reverse":
        raise refuse("LSTM", "sequence_lens, peepholes, layout 1 or direction reverse")
    state = [_initial(s, x, weight, hidden_size) for s in (initial_h, initial_c)]
    parameters = _flat(weight, recurrent, bias, _LSTM_GATES)
    y, h, c = torch.lstm(x, state, parameters, True, 1, 0.0, False, direction == "bidirectional", False)
    return [_split_directions(y, len(weight)), h, c]


def gru(  # noqa: PLR0917
    x: Tensor,
    weight: Tensor,
    recurrent: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    initial_h: Tensor | None = None,
    *,
    hidden_size: int,
    direction: str = "forward",
    layout: int = 0,
    linear_before_reset: int = 0,
) -> list[Tensor]:
    """GRU: Y [time, directions, batch, hidden] and last hidden state."""
    if lengths is not None or layout or direction == "reverse" or not linear_before_reset:
        raise refuse("GRU", "sequence_lens, layout 1, direction reverse or linear_before_reset 0")
    state = _initial(initial_h, x, weight, hidden_size)
    parameters = _flat(weight, recurrent, bias, _GRU_GATES)
    y, h = torch.gru(x, state, parameters, True, 1, 0.0, False, direction == "bidirectional", False)
    return [_split_directions(y, len(weight)), h]


def _initial(state: Tensor | None, x: Tensor, weight: Tensor, hidden_size: int) -> Tensor:
    return state if state is not None else x.new_zeros(len(weight), x.shape[1], hidden_size)


def _split_directions(y: Tensor, directions: int) -> Tensor:
    return y.reshape(*y.shape[:2], directions, -1).transpose(1, 2)


def _flat(weight: Tensor, recurrent: Tensor, bias: Tensor | None, gates: Sequence[int]) -> list[Tensor]:
    """Return torch's parameter list: per direction input and recurrent weights, input and recurrent biases."""
    if bias is None:
        bias = weight.new_zeros(len(weight), 2 * weight.shape[1])
    flat: list[Tensor] = []
    for w, r, b in zip(weight, recurrent, bias, strict=True):
        halves = b.chunk(2)
        flat += [_reorder(tensor, gates) for tensor in (w, r, *halves)]
    return flat


def _reorder(tensor: Tensor, gates: Sequence[int]) -> Tensor:
    parts = tensor.chunk(len(gates))
    return torch.cat([parts[gate] for gate in gates])


OPERATORS: Table = {"LSTM": lstm, "GRU": gru}
