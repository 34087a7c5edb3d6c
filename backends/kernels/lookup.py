"""Rows of a table by computed indices, as in embeddings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Kernel, Places, Spec
from galen.backends.kernels.emit import emit
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Lookup(Kernel):
    """`sink[i] = table[index[i]]`; negative indices count from the end. Arguments: table, index, sink."""

    entries: int
    width: int
    count: int
    index: str
    dtype: str
    family: ClassVar[str] = "lookup"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Table `[entries, width]`, indices `[count]`, rows `[count, width]`."""
        table, rows = ((rows, self.width) for rows in (self.entries, self.count))
        return (Spec(table, self.dtype), Places((self.count,), self.index, self.entries), Spec(rows, self.dtype))

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Index."""
        return [inputs[0][inputs[1]]]

    def tir(self, target: Target) -> "PrimFunc":
        """Return a loop over the indices that copies vectors."""
        with emit(self.args, target) as e:
            table, index, sink = e.args
            lanes = e.lanes_of(self.dtype)
            with e.loop(self.count) as i:
                given = e.let(e.T.Cast("int32", e.load(index, i)))
                row = e.let(e.T.Select(given < 0, given + self.entries, given))
                copy = lambda c, n: e.store(sink, e.load(table, row, c, lanes=n), i, c, lanes=n)  # noqa: E731
                e.each_vector(self.width, copy, lanes)
        return e.function
