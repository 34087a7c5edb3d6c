"""Kernels on dense tensors compute their reference for any shapes and axes, on the emulated core and on the host."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kernel_check import check

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.columns import ColumnSoftmax, RunningSum
from galen.backends.kernels.extreme import Extreme
from galen.backends.kernels.group_norm import GroupNorm
from galen.backends.kernels.pad import Pad
from galen.backends.kernels.pointwise import OPERATORS, Pointwise
from galen.backends.kernels.reduce import LOG_SUM_EXP, REDUCTIONS, Reduce
from galen.backends.kernels.unfold import Unfold

few = settings(max_examples=2, deadline=None, phases=[Phase.generate], derandomize=True)
extents = st.integers(1, 9)
rows = st.tuples(st.integers(1, 3), extents, st.sampled_from([1, 2, 7, 21]))
LOGIC = {"and", "or", "xor", "not"}
DECISIONS = {name for name, operator in OPERATORS.items() if operator.result == "bool"}


def run(kernel: Kernel, seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = [drawn(rng, spec) for spec in kernel.args[: -kernel.outputs]]
    with TemporaryDirectory() as folder:
        check(kernel, inputs, Path(folder))


def drawn(rng: np.random.Generator, spec: Spec) -> np.ndarray:
    """Numbers of both signs, none of them 0, some of them equal."""
    if spec.dtype == "bool":
        return rng.integers(0, 2, spec.shape).astype(bool)
    whole = rng.integers(1, 9, spec.shape) * rng.choice([-1, 1], spec.shape)
    return (whole / 4 if "float" in spec.dtype else whole).astype(spec.dtype)


@pytest.mark.parametrize("kind", [*REDUCTIONS, LOG_SUM_EXP])
@few
@given(shape=st.tuples(extents, st.integers(1, 5), st.sampled_from([1, 3, 16, 37])), last=st.booleans())
def test_reduction(kind: str, shape: tuple[int, int, int], last: bool) -> None:
    kernel = Reduce(kind, (2, *shape), (1, 3) if last else (2,))
    with TemporaryDirectory() as folder:
        positive = np.random.default_rng(0).uniform(0.5, 1.5, kernel.args[0].shape).astype(np.float32)
        check(kernel, [positive], Path(folder))


def test_reduction_of_integers() -> None:
    for kind in ("sum", "max", "prod"):
        run(Reduce(kind, (3, 13), (1,), "int64"), 0)
        run(Reduce(kind, (3, 4, 5), (1,), "int32"), 0)


@pytest.mark.parametrize("name", [name for name in OPERATORS if name not in {"cast", "where"}])
def test_every_operator_broadcasts(name: str) -> None:
    dtype = "bool" if name in LOGIC else "int32" if name in {"quotient", "modulo"} else "float32"
    shapes = [(3, 5, 1), (1, 5, 21)] if name != "not" else [(3, 5, 21)]
    sink = Spec((3, 5, 21), "bool" if name in LOGIC | DECISIONS else dtype)
    run(Pointwise(name, tuple(Spec(shape, dtype) for shape in shapes), sink), 0)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_choice(dtype: str) -> None:
    sources = Spec((1, 21), "bool"), Spec((3, 1), dtype), Spec((3, 21), dtype)
    run(Pointwise("where", sources, Spec((3, 21), dtype)), 0)


@pytest.mark.parametrize("dtype", ["float32", "int64", "int8", "bool"])
@pytest.mark.parametrize("wanted", ["float32", "int64", "int8", "bool"])
def test_cast(dtype: str, wanted: str) -> None:
    run(Pointwise("cast", (Spec((21,), dtype),), Spec((21,), wanted)), 0)


@few
@given(rows, st.sampled_from(["max", "min"]), st.sampled_from(["first", "last"]), st.sampled_from(["float32", "int64"]))
def test_position_of_the_extreme(shape, kind, choice, dtype) -> None:
    run(Extreme(shape, kind, choice, dtype), 0)
    run(Extreme((2, 37, 1), kind, choice, dtype), 1)


@few
@given(rows)
def test_softmax_of_columns(shape) -> None:
    run(ColumnSoftmax(shape), 0)


@few
@given(rows, st.booleans(), st.booleans(), st.sampled_from(["float32", "int64"]))
def test_running_sum(shape, exclusive, reverse, dtype) -> None:
    run(RunningSum(shape, dtype, exclusive, reverse), 0)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
@few
@given(shape=st.tuples(*[st.integers(4, 9)] * 3), widths=st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_padding(mode: str, shape: tuple[int, ...], widths: list[int]) -> None:
    run(Pad(shape, tuple(widths[:3]), tuple(widths[3:]), mode, 1.5), 0)


@few
@given(extents, extents, st.integers(1, 4), st.integers(1, 5), st.booleans())
def test_normalisation_of_groups(h, w, groups, size, instances) -> None:
    image = Image(2, h, w, groups * size, 1)
    run(GroupNorm(image, Image(2, h, w, groups * size, 2), groups * size if instances else groups, 1e-5), 0)


@few
@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(0, 1), st.integers(1, 3), st.integers(1, 5))
def test_unfolding_slices(taps, stride, dilation, front, groups, size) -> None:
    depth = 4 + dilation * (taps - 1)
    out = (depth + 2 * front - dilation * (taps - 1) - 1) // stride + 1
    source, sink = Image(2 * depth, 3, 4, groups * size), Image(2 * out, 3, 4, taps * groups * size, 1)
    run(Unfold(source, sink, 2, taps, stride, dilation, front, groups), 0)


def test_padding_may_cut() -> None:
    run(Pad((5, 7, 21), (1, -2, -3), (-2, 0, 4), value=-7, dtype="int32"), 0)
