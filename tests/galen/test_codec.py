"""States survive as bytes, without pickle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from galen.codec import pack, unpack

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
leaves = leaves | arrays(st.sampled_from([np.float32, np.float64, np.int32, np.uint8]), array_shapes(min_dims=0))
states = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


def same(a, b) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@given(states)
def test_round_trip(state) -> None:
    assert same(state, unpack(pack(state)))


def test_the_state_of_a_numpy_generator_goes_on_where_it_was() -> None:
    generator, other = np.random.default_rng(1), np.random.default_rng(2)
    generator.random(7)
    other.bit_generator.state = unpack(pack(generator.bit_generator.state))
    assert generator.random() == other.random()


def test_pickled_arrays_are_refused() -> None:
    with pytest.raises((ValueError, TypeError)):
        unpack(pack({"a": np.array([object()], dtype=object)}))
