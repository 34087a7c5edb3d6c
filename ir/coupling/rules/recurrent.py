"""Recurrent layers: a hidden unit lives in all gates, in both directions, in the state and in the output."""

from galen.ir.coupling.axes import Axes
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def couple_recurrent(axes: Axes) -> None:
    """Tie the hidden units of W `[D, G*H, I]`, R `[D, G*H, H]`, B `[D, 2*G*H]`, the states, P and all outputs.

    X is `[T, B, I]`, Y `[T, D, B, H]`, states `[D, B, H]`; `layout=1` moves the batch to the front.
    """
    gates, batch_first = _GATES[axes.node.op_type], axes.attribute("layout", 0)
    weight, state = axes.input_dims(1), axes.input_dims(2)
    if axes.input_dims(0) is None or weight is None or state is None:
        return
    hidden = axes.sum_over(2, 2)
    axes.tie(axes.sum_over(0, 2), axes.input(1, 2))
    axes.layer(1, 1, 2)
    axes.start(hidden)
    for index, copies in ((1, gates), (2, gates), (3, 2 * gates)):
        if axes.input_dims(index) is not None:
            for gate in axes.input(index, 1).reshape(copies, -1):
                axes.tie(gate, hidden)
    _couple_states(axes, batch_first)
    if axes.input_dims(7) is not None:
        for gate in axes.input(7, 1).reshape(3, -1):
            axes.tie(gate, hidden)


def _couple_states(axes: Axes, batch_first: int) -> None:
    place = 0 if batch_first else 1
    hidden, batch = axes.input(2, 2), axes.input(0, place)
    for index in (5, 6):
        if axes.input_dims(index) is not None:
            axes.tie(axes.input(index, 2), hidden)
            axes.tie(axes.input(index, place), batch)
    for index, rank, at in ((0, 4, 0 if batch_first else 2), (1, 3, place), (2, 3, place)):
        if axes.output_dims(index) is not None:
            axes.tie(axes.output(index, rank - 1), hidden)
            axes.tie(axes.output(index, at), batch)


def rewrite_recurrent(rewriter: Rewriter) -> None:
    """Give the new number of hidden units."""
    kept = rewriter.input(2, 2)
    if kept is not None:
        rewriter.set_attribute("hidden_size", len(kept))


RULES = {op: Rule(couple_recurrent, rewrite_recurrent) for op in _GATES}
