"""Reshapes as common factors of both shapes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galen.ir.coupling.factors import REST, refine


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((8, 12), (8, 3, 4), [((8,), [(0, (0,))], [(0, (0,))]), ((3, 4), [(1, (0, 1))], [(1, (0,)), (2, (1,))])]),
        ((64, 7, 7), (32, 98), [((32, 2, 7, 7), [(0, (0, 1)), (1, (2,)), (2, (3,))], [(0, (0,)), (1, (1, 2, 3))])]),
        ((None, 5, 6), (None, 30), [((5, 6), [(1, (0,)), (2, (1,))], [(1, (0, 1))])]),
        (("n", 64), (None, 16), [((4, 16), [(1, (0, 1))], [(REST, (0,)), (1, (1,))])]),
        ((1, 8, 1), (8, 1), [((8,), [(1, (0,))], [(0, (0,))])]),
        ((4, 9), (6, 6), [((), [], [])]),
    ],
)
def test_examples(before, after, expected) -> None:
    found = [(b.sizes, list(b.inputs), list(b.outputs)) for b in refine(before, after)]
    assert sorted(found) == sorted(expected)


@given(st.data())
def test_factors_address_the_same_elements_on_both_sides(data: st.DataObject) -> None:
    """Group random factors into axes in two ways: every factor's index must agree through both."""
    sizes = data.draw(st.lists(st.integers(2, 4), min_size=1, max_size=6))

    def grouped() -> list[int]:
        cuts = sorted(data.draw(st.sets(st.integers(1, max(len(sizes) - 1, 1)))))
        bounds = [0, *[c for c in cuts if c < len(sizes)], len(sizes)]
        return [int(np.prod(sizes[a:b])) for a, b in pairwise(bounds)]

    before, after = tuple(grouped()), tuple(grouped())
    blocks = refine(before, after)

    assert int(np.prod([size for block in blocks for size in block.sizes])) == int(np.prod(sizes))
    for block in blocks:
        for side, dims in ((block.inputs, before), (block.outputs, after)):
            for axis, at in side:
                assert dims[axis] == int(np.prod([block.sizes[i] for i in at]))
