"""The published discretisers, by their exact tables, and their inverses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galen.agents import actions
from galen.passes.policy import FP16, FP32, INT8, Bits

TENTHS = [i / 10 for i in range(11)]
ALL_WIDTHS = (FP32, INT8, *(Bits(w, a) for w in range(1, 9) for a in range(1, 9) if (w, a) != (8, 8)))


def multiples(size: int, of: int) -> tuple[int, ...]:
    return tuple(range(of, size + 1, of))


@pytest.mark.parametrize(
    ("size", "multiple", "kept"),
    [
        (64, 32, [64, 64, 64, 64, 64, 64, 32, 32, 32, 32, 32]),
        (128, 32, [128, 128, 128, 96, 96, 96, 64, 64, 32, 32, 32]),
        (512, 32, [512, 480, 416, 384, 320, 288, 224, 160, 128, 64, 32]),
        (8, 1, [8, 8, 7, 6, 5, 5, 4, 3, 2, 1, 1]),
    ],
)
def test_channels_kept_are_those_of_the_published_formula(size: int, multiple: int, kept: list[int]) -> None:
    assert [actions.channels(a, multiples(size, multiple)) for a in TENTHS] == kept


def test_mixed_bits_are_those_of_the_published_formula() -> None:
    assert [actions.width(0.5 + r / 2, 6) for r in TENTHS] == [6, 6, 5, 5, 4, 4, 3, 2, 2, 1, 1]


@pytest.mark.parametrize(
    ("activation", "weight", "bits"),
    [
        (0.0, 0.0, FP32),
        (0.2, 0.2, FP32),
        (0.21, 0.0, INT8),
        (0.0, 0.5, INT8),
        (0.51, 0.0, Bits(6, 6)),
        (1.0, 0.5, Bits(6, 1)),
        (0.75, 1.0, Bits(1, 4)),
    ],
)
def test_the_larger_action_chooses_the_method(activation: float, weight: float, bits: Bits) -> None:
    assert actions.widths(activation, weight, ALL_WIDTHS, 6) == bits


def test_where_no_narrow_kernel_exists_mixed_means_int8_and_where_none_exists_at_all_float() -> None:
    assert actions.widths(0.9, 0.9, (FP32, INT8), 6) == INT8
    assert actions.widths(0.9, 0.9, (FP32,), 6) == FP32


def test_fp16_is_the_upper_half_of_float_on_cores_that_have_it() -> None:
    assert actions.widths(0.15, 0.15, (FP32, FP16, INT8), 8) == FP16
    assert actions.widths(0.05, 0.05, (FP32, FP16, INT8), 8) == FP32
    assert actions.widths(0.15, 0.15, (FP32, INT8), 8) == FP32


@given(st.integers(1, 200), st.integers(1, 32), st.data())
def test_the_action_of_a_channel_count_leads_back_to_it(size: int, multiple: int, data: st.DataObject) -> None:
    counts = multiples(size, multiple) or (size,)
    keep = data.draw(st.sampled_from(counts))
    assert actions.channels(actions.channels_action(keep, counts), counts) == keep


@given(st.sampled_from((*ALL_WIDTHS, FP16)))
def test_the_actions_of_widths_lead_back_to_them(bits: Bits) -> None:
    assert actions.widths(*actions.widths_actions(bits, 8), (*ALL_WIDTHS, FP16), 8) == bits


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 300))
def test_more_action_never_keeps_more(a: float, b: float, size: int) -> None:
    low, high = sorted((a, b))
    counts = multiples(size, 1)
    assert actions.channels(high, counts) <= actions.channels(low, counts)
    assert actions.width(high, 8) <= actions.width(low, 8)
