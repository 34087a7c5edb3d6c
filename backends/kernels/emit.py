"""Writing TIR from Python: the only file of the kernels that knows TVM's IR builder.

Python loops unroll, `Emitter.loop` emits a loop, so a generator reads like the code it generates. Registers are small
buffers of scope `global`: those below 1024 bytes become stack slots that LLVM promotes to vector registers, whereas
scope `local` would go to the workspace.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from galen.backends.kernels.base import Part, Spec
from galen.backends.target import Target

Expr = Any
"""A TIR expression; TVM is untyped."""


@dataclass(frozen=True)
class Register:
    """One vector register that is assigned more than once."""

    buffer: Any
    index: Any
    builder: Any

    @property
    def value(self) -> Expr:
        """Its present value."""
        return self.buffer[self.index]

    def set(self, value: Expr) -> None:
        """Assign."""
        self.builder.buffer_store(self.buffer, value, [self.index])


class Emitter:
    """The function under construction.

    Attributes:
        args: its buffers, one per `Spec`.
        lanes: fp32 numbers in a vector register of the target.
        registers_available: number of vector registers of the target.
        T: TVM's builder module, for what has no shorter name here.
        function: the finished `PrimFunc`, after `emit` has returned.
    """

    def __init__(self, builder: Any, target: Target) -> None:
        self.T = builder
        self.target = target
        self.lanes = vector_lanes(target)
        self.arm = target.triple.startswith("aarch64")
        self.args: tuple[Any, ...] = ()
        self.function: Any = None

    @contextmanager
    def loop(self, extent: int) -> Iterator[Expr]:
        """Emit a loop and yield its variable; the constant 0 where there is only one iteration."""
        if extent == 1:
            yield 0
        else:
            with self.T.serial(0, extent) as index:
                yield index

    @contextmanager
    def parallel(self, extent: int) -> Iterator[Expr]:
        """Emit a loop whose iterations are independent: threads share them when the target has several.

        Not to be nested. What the iterations write to and share must be disjoint.
        """
        if extent == 1 or self.target.threads == 1:
            with self.loop(extent) as index:
                yield index
            return
        with self.T.parallel(0, extent) as index:
            yield index

    @contextmanager
    def when(self, *conditions: Expr) -> Iterator[None]:
        """Emit what follows under all of `conditions`; Python's True costs nothing."""
        open_conditions = [c for c in conditions if c is not True]
        if not open_conditions:
            yield
            return
        with self.T.If(self.all(*open_conditions)), self.T.Then():
            yield

    def all(self, *conditions: Expr) -> Expr:
        """Return the conjunction."""
        value = conditions[0]
        for condition in conditions[1:]:
            value = self.T.And(value, condition)
        return value

    def choose(self, condition: Expr, value: Expr, otherwise: Expr) -> Expr:
        """Return `value` under a scalar condition, evaluating (and loading) only what is returned."""
        return self.T.if_then_else(condition, value, otherwise)

    def lanes_of(self, dtype: str) -> int:
        """Return how many numbers of a type a vector register holds."""
        return self.lanes * 4 // np.dtype(dtype).itemsize

    def cast(self, value: Expr, dtype: str, lanes: int) -> Expr:
        """Return a vector of `lanes` numbers as numbers of another type; itself where it has that type."""
        wanted = dtype if lanes == 1 else f"{dtype}x{lanes}"
        return value if self.type_of(value) == dtype else self.T.Cast(wanted, value)

    def type_of(self, value: Expr) -> str:
        """Return the type of the numbers in a vector."""
        return str(value.ty).partition("x")[0]

    def zero(self, dtype: str) -> Expr:
        """Return the scalar 0 of a type."""
        return getattr(self.T, dtype)(0)

    def padding(self, dtype: str, fill: int) -> Expr:
        """Return what stands for zero in an image of a type: of integers, their zero point."""
        return self.T.IntImm(dtype, fill) if fill else self.zero(dtype)

    def let(self, value: Expr) -> Expr:
        """Bind a value to a name, so that it is computed once."""
        return self.T.Bind(value)

    def load(self, buffer: Any, *index: Expr, lanes: int = 1) -> Expr:
        """Read `lanes` neighbours along the last axis."""
        *outer, last = index
        return buffer[(*outer, self._lanes(last, lanes))]

    def store(self, buffer: Any, value: Expr, *index: Expr, lanes: int = 1) -> None:
        """Write `lanes` neighbours along the last axis."""
        *outer, last = index
        self.T.buffer_store(buffer, value, [*outer, self._lanes(last, lanes)])

    def each_vector(self, extent: int, body: Callable[[Expr, int], None], lanes: int = 0) -> None:
        """Emit `body(first, lanes)` for vectors over `extent`: whole ones in a loop, then ever shorter ones.

        Args:
            extent: elements.
            body: emits the work on `lanes` elements from `first` on.
            lanes: of a whole vector; those of fp32 by default.
        """
        lanes = lanes or self.lanes
        whole = extent // lanes
        if whole:
            with self.loop(whole) as index:
                body(index * lanes, lanes)
        for at, part in pieces(extent - whole * lanes, lanes):
            body(whole * lanes + at, part)

    def flat(self, buffer: Any, size: int) -> Any:
        """Return a view of `buffer` with one axis of `size` elements."""
        return self.T.decl_buffer((size,), buffer.dtype, data=buffer.data)

    def splat(self, value: Expr, lanes: int, dtype: str = "float32") -> Expr:
        """Return a vector of `lanes` equal elements (the scalar itself for one lane)."""
        if isinstance(value, int | float):
            value = self.T.Cast(dtype, self.T.float32(value)) if dtype != "float32" else self.T.float32(value)
        return value if lanes == 1 else self.T.broadcast(value, lanes)

    def lane(self, vector: Expr, index: int, lanes: int) -> Expr:
        """Return element `index` of a vector, in every lane: folds into `fmla v, v, v.s[index]`."""
        return self.splat(self.T.Shuffle([vector], [self.T.int32(index)]), lanes)

    def part(self, vector: Expr, start: int, lanes: int, of: int) -> Expr:
        """Return `lanes` elements of a vector of `of` from element `start`."""
        if lanes == of:
            return vector
        return self.T.Shuffle([vector], [self.T.int32(start + i) for i in range(lanes)])

    def registers(self, count: int, lanes: int, dtype: str = "float32") -> list[Register]:
        """Declare vector registers."""
        at = self._lanes(0, lanes)
        return [Register(self.T.alloc_buffer((lanes,), dtype, scope="global"), at, self.T) for _ in range(count)]

    def workspace(self, shape: tuple[int, ...], dtype: str = "float32") -> Any:
        """Declare scratch memory, taken from the runtime's per-thread pool."""
        return self.T.alloc_buffer(shape, dtype, scope="local")

    def _lanes(self, start: Expr, lanes: int) -> Expr:
        return start if lanes == 1 else self.T.ramp(start, 1, lanes)


@contextmanager
def emit(args: Sequence[Spec], target: Target) -> Iterator[Emitter]:
    """Yield an emitter for a function with the parameters `args`; its `function` is set on leaving."""
    from tvm.script.ir_builder import IRBuilder  # noqa: PLC0415
    from tvm.tirx.script import builder as tirx  # noqa: PLC0415

    emitter = Emitter(tirx, target)
    with IRBuilder() as ir:
        with tirx.prim_func():
            tirx.func_name("kernel")
            tirx.func_attr({"global_symbol": "kernel", "tirx.noalias": True})
            buffers = [tirx.arg(f"a{i}", tirx.buffer(s.shape, s.dtype)) for i, s in enumerate(args)]
            emitter.args = tuple(_described(tirx, *pair) for pair in zip(buffers, args, strict=True))
            yield emitter
        emitter.function = ir.get()


def _described(builder: Any, buffer: Any, spec: Spec) -> Any:
    """Return what `spec` describes of an argument: the buffer itself, or a view of a part of it."""
    if not isinstance(spec, Part):
        return buffer
    strides = [prod(spec.shape[axis + 1 :]) for axis in range(len(spec.shape))]
    shape = (*spec.shape[:-1], spec.count)
    return builder.decl_buffer(shape, spec.dtype, data=buffer.data, strides=strides, elem_offset=spec.first)


def vector_lanes(target: Target) -> int:
    """Return how many fp32 numbers a vector register of `target` holds."""
    if target.has("avx512f"):
        return 16
    return 8 if target.has("avx2") else 4


def pieces(extent: int, lanes: int) -> list[tuple[int, int]]:
    """Cut a short tail into powers of two: `pieces(7, 4) == [(0, 4), (4, 2), (6, 1)]` as (offset, lanes)."""
    cut, at = [], 0
    while at < extent:
        while lanes > extent - at:
            lanes //= 2
        cut.append((at, lanes))
        at += lanes
    return cut
