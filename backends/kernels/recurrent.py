"""Recurrent layers: LSTM (Hochreiter and Schmidhuber 1997), GRU (Cho et al. 2014) and the plain cell, as ONNX has them.

What depends on the inputs alone is a matrix product over all time steps at once and computed before; this kernel adds
what depends on the state, step by step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.kernels.emit import Emitter, Expr, emit, pieces
from galen.backends.kernels.functions import Arithmetic, Arrays, Number, Vectors, sigmoid, tanh
from galen.backends.kernels.registers import Block, RegisterTile, Tile, blocks, padded
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc

Cell = Literal["lstm", "gru", "gru-reset-before", "rnn"]
"""`gru` multiplies the reset gate with the product of state and weights, `gru-reset-before` with the state."""

GATES: dict[Cell, int] = {"lstm": 4, "gru": 3, "gru-reset-before": 3, "rnn": 1}
TILE = Tile(1, 8)


@dataclass(frozen=True)
class Recurrent(Kernel):
    """One direction of a recurrent layer.

    Arguments: projected inputs `[steps, batch, gates * width]`, weights of the state as `pack_weights` orders them,
    bias `[gates * width]`, initial state `[batch, hidden]` (for the LSTM also that of the cell); outputs `[steps,
    batch, hidden]` and the last state(s). `width` is `hidden` rounded up to whole vectors; gates are in ONNX's order.

    Attributes:
        reverse: from the last step to the first.
    """

    cell: Cell
    steps: int
    batch: int
    hidden: int
    reverse: bool = False

    @property
    def family(self) -> str:  # type: ignore[override]
        """The cell."""
        return self.cell

    @property
    def width(self) -> int:
        """Columns of one gate."""
        return padded(self.hidden)

    @property
    def columns(self) -> int:
        """Columns of all gates."""
        return GATES[self.cell] * self.width

    @property
    def states(self) -> int:
        """Vectors that are handed from step to step."""
        return 2 if self.cell == "lstm" else 1

    @property
    def args(self) -> tuple[Spec, ...]:
        """See the class."""
        state = (Spec((self.batch, self.hidden), "float32"),) * self.states
        projected = Spec((self.steps, self.batch, self.columns), "float32")
        weights, bias = Spec((self.hidden * self.columns,), "float32"), Spec((self.columns,), "float32")
        return (projected, weights, bias, *state, Spec((self.steps, self.batch, self.hidden), "float32"), *state)

    @property
    def outputs(self) -> int:
        """All states, and the last of each."""
        return 1 + self.states

    @property
    def macs(self) -> int:
        """Multiply-accumulates with the state."""
        return self.steps * self.batch * self.hidden**2 * GATES[self.cell]

    def pack_weights(self, weights: np.ndarray) -> np.ndarray:
        """Order `[gates * hidden, hidden]` as blocks of columns, each `[hidden, columns of the block]`."""
        columns = self.pad(weights).T
        return np.concatenate([columns[:, b.first : b.first + b.width].ravel() for b in self._blocks])

    def pad(self, rows: np.ndarray) -> np.ndarray:
        """Extend every gate of `[gates * hidden, ...]` to `width` with zeros."""
        gates = rows.reshape(GATES[self.cell], self.hidden, *rows.shape[1:])
        full = np.zeros((GATES[self.cell], self.width, *rows.shape[1:]), np.float32)
        full[:, : self.hidden] = gates
        return full.reshape(self.columns, *rows.shape[1:])

    @property
    def _blocks(self) -> list[Block]:
        return [block for gate in range(GATES[self.cell]) for block in self._gate_blocks(gate)]

    def _gate_blocks(self, gate: int) -> list[Block]:
        own = blocks(self.width, self.width, TILE)
        return [Block(gate * self.width + b.first, b.width, b.stored) for b in own]

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Step through time in double precision."""
        projected, packed, bias, *states = (array.astype(np.float64) for array in inputs)
        parts = [packed[b.first * self.hidden :][: b.width * self.hidden].reshape(-1, b.width) for b in self._blocks]
        weights = np.concatenate(parts, axis=1).reshape(self.hidden, -1, self.width)[..., : self.hidden]
        bias = bias.reshape(-1, self.width)[:, : self.hidden]
        out = np.zeros(self.args[-self.outputs].shape)
        for t in range(self.steps)[:: -1 if self.reverse else 1]:
            given = projected[t].reshape(self.batch, -1, self.width)[..., : self.hidden].swapaxes(0, 1)

            def product(gate: int, state: np.ndarray) -> np.ndarray:
                return np.asarray(state @ weights[:, gate] + bias[gate])

            states = _step(self.cell, Arrays(), given, product, states)
            out[t] = states[0]
        return [array.astype(np.float32) for array in (out, *states)]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over the steps: products of state and weights, then gates and new states."""
        with emit(self.args, target) as e:
            _Steps(self, e).emit()
        return e.function


def _step(cell: Cell, m: Arithmetic, given: Any, product: Any, states: Sequence[Number]) -> list[Number]:
    """Return the new states; `given[gate]` is what comes from the inputs, `product(gate, state)` from a state."""
    h = states[0]
    if cell == "rnn":
        return [tanh(m, given[0] + product(0, h))]
    if cell == "lstm":
        i, o, f = (sigmoid(m, given[gate] + product(gate, h)) for gate in range(3))
        c = f * states[1] + i * tanh(m, given[3] + product(3, h))
        return [o * tanh(m, c), c]
    z, r = (sigmoid(m, given[gate] + product(gate, h)) for gate in range(2))
    inner = r * product(2, h) if cell == "gru" else product(2, r * h)
    return [(1.0 - z) * tanh(m, given[2] + inner) + z * h]


class _Steps:
    """The code of one kernel."""

    def __init__(self, kernel: Recurrent, e: Emitter) -> None:
        self.kernel, self.e = kernel, e
        self.states = [e.workspace((kernel.batch, kernel.width)) for _ in range(kernel.states)]
        self.sums = e.workspace((kernel.batch, kernel.columns))
        self.gated = e.workspace((kernel.batch, kernel.width))

    def emit(self) -> None:
        """Emit initialisation, the loop, and the last states."""
        e, kernel = self.e, self.kernel
        first, last = e.args[3 : 3 + kernel.states], e.args[-kernel.states :]
        for state, given in zip(self.states, first, strict=True):
            self._copy(given, state, zeros=kernel.width - kernel.hidden)
        with e.loop(kernel.steps) as index:
            t = kernel.steps - 1 - index if kernel.reverse else index
            self._step(t)
        for state, result in zip(self.states, last, strict=True):
            self._copy(state, result)

    def _copy(self, source: Any, sink: Any, zeros: int = 0) -> None:
        e, hidden = self.e, self.kernel.hidden
        with e.loop(self.kernel.batch) as b:
            e.each_vector(hidden, lambda c, n: e.store(sink, e.load(source, b, c, lanes=n), b, c, lanes=n))
            for c, n in pieces(zeros, e.lanes):
                e.store(sink, e.splat(0.0, n), b, hidden + c, lanes=n)

    def _step(self, t: Expr) -> None:
        gates = range(GATES[self.kernel.cell])
        if self.kernel.cell == "gru-reset-before":
            self._products(self.states[0], gates[:2])
            self._each(self._reset_state, t)
            self._products(self.gated, gates[2:])
        else:
            self._products(self.states[0], gates)
        self._each(self._update, t)
        out, state = self.e.args[-1 - self.kernel.states], self.states[0]
        with self.e.loop(self.kernel.batch) as b:

            def copy(c: Expr, n: int) -> None:
                self.e.store(out, self.e.load(state, b, c, lanes=n), t, b, c, lanes=n)

            self.e.each_vector(self.kernel.hidden, copy)

    def _each(self, body: Any, t: Expr) -> None:
        """Emit `body(t, row, column, lanes)` for all vectors of a state."""
        with self.e.loop(self.kernel.batch) as b:
            self.e.each_vector(self.kernel.width, lambda c, n: body(t, b, c, n))

    def _reset_state(self, t: Expr, b: Expr, c: Expr, lanes: int) -> None:
        """Multiply the state with the reset gate."""
        e, at = self.e, self.kernel.width + c
        total = e.load(e.args[0], t, b, at, lanes=lanes) + e.load(self.sums, b, at, lanes=lanes)
        state = e.load(self.states[0], b, c, lanes=lanes)
        e.store(self.gated, sigmoid(Vectors(e, lanes), total) * state, b, c, lanes=lanes)

    def _update(self, t: Expr, b: Expr, c: Expr, lanes: int) -> None:
        """Compute gates and states from the products."""
        e, kernel = self.e, self.kernel

        def gate(buffer: Any, *row: Expr) -> list[Expr]:
            columns = range(0, kernel.columns, kernel.width)
            return [e.let(e.load(buffer, *row, first + c, lanes=lanes)) for first in columns]

        sums, given = gate(self.sums, b), gate(e.args[0], t, b)
        old = [e.let(e.load(state, b, c, lanes=lanes)) for state in self.states]
        new = _step(kernel.cell, Vectors(e, lanes), given, lambda index, _: sums[index], old)
        for state, value in zip(self.states, new, strict=True):
            e.store(state, value, b, c, lanes=lanes)

    def _products(self, state: Any, gates: Sequence[int]) -> None:
        for b in range(self.kernel.batch):
            for gate in gates:
                for block in self.kernel._gate_blocks(gate):
                    self._product(state, b, block)

    def _product(self, state: Any, b: int, block: Block) -> None:
        e = self.e
        tile = RegisterTile(e, 1, block.width, self.kernel.hidden)
        tile.set(lambda offset: e.load(e.args[2], block.first + offset, lanes=tile.lanes))
        base = block.first * self.kernel.hidden

        def step(k: Expr, count: int) -> None:
            inputs = [tile.spread(state, (b, k), count)]
            tile.update(
                inputs, lambda i, offset: e.load(e.args[1], base + (k + i) * block.width + offset, lanes=tile.lanes)
            )

        tile.reduce(self.kernel.hidden, step)
        for _, offset, result in tile:
            e.store(self.sums, result, b, block.first + offset, lanes=tile.lanes)
