"""Whatever the operator table can build: the cut model computes what its mask computes."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx_text import difference, run
from random_networks import network

from galen.ir.clone import clone
from galen.ir.coupling import apply_cut, couple
from galen.ir.coupling.mask import mask
from galen.ir.io import from_proto

GENES = st.tuples(*[st.integers(0, 47)] * 3)


@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(program=st.lists(GENES, min_size=1, max_size=12), seed=st.integers(0, 99))
def test_cut_equals_mask(program: list[tuple[int, int, int]], seed: int) -> None:
    whole, rng = from_proto(network(program, seed)), np.random.default_rng(seed)
    coupling = couple(whole)
    cut = coupling.cut(
        {g.name: np.sort(rng.choice(g.size, rng.integers(1, g.size + 1), replace=False)) for g in coupling.groups}
    )
    small = clone(whole)
    apply_cut(small, cut)

    assert difference(run(small), run(mask(whole, cut))) < 1e-4


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(program=st.lists(GENES, min_size=1, max_size=12), seed=st.integers(0, 99))
def test_groups_are_disjoint_and_cover_whole_layers_or_none(program: list[tuple[int, int, int]], seed: int) -> None:
    """Every place of every axis belongs to at most one channel of one group."""
    taken: set[tuple[str, int, int]] = set()
    names = []
    for group in couple(from_proto(network(program, seed))).groups:
        names.append(group.name)
        for member in group.members:
            places = {(member.value, member.axis, place) for place in member.index.ravel().tolist()}
            assert len(places) == member.index.size
            assert not places & taken
            taken |= places
    assert len(set(names)) == len(names)
