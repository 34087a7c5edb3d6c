"""From continuous actions in [0, 1] to channels and bits, and back. Larger means more compression.

The mappings are those of the Galen paper (arXiv 2212.07818, published scripts); the channel mapping is written over the
list of legal counts, of which the published one is the special case R, 2R, ..., C.
"""

from collections.abc import Sequence
from math import floor

from galen.passes.policy import FP16, FP32, INT8, Bits

MIXED_ABOVE = 0.5
INT8_ABOVE = 0.2
FP16_ABOVE = 0.1


def channels(action: float, counts: Sequence[int]) -> int:
    """Return the channels kept: the k-th of n legal `counts` (ascending) with k = floor((1 - a) n) + 1, at most n."""
    n = len(counts)
    return counts[min(max(floor((1 - action) * n) + 1, 1), n) - 1]


def channels_action(keep: int, counts: Sequence[int]) -> float:
    """Return the middle of the actions that `channels` maps to `keep` (its smallest legal count of at least that)."""
    n = len(counts)
    index = next((i for i, count in enumerate(counts) if count >= keep), n - 1)
    return 1 - (index + 0.5) / n


def width(action: float, reference: int) -> int:
    """Return the bits of one operand of a mixed layer: floor((1 - r) B) + 1 of B, r the action above the threshold."""
    ratio = min(max((action - MIXED_ABOVE) / (1 - MIXED_ABOVE), 0.0), 1.0)
    return min(max(floor((1 - ratio) * reference) + 1, 1), reference)


def width_action(bits: int, reference: int) -> float:
    """Return the middle of the actions that `width` maps to `bits`."""
    ratio = 1 - (min(bits, reference) - 0.5) / reference
    return MIXED_ABOVE + (1 - MIXED_ABOVE) * ratio


def widths(activation: float, weight: float, legal: Sequence[Bits], reference: int) -> Bits:
    """Return a layer's widths: mixed above 0.5, int8 above 0.2, else float, as far as the layer runs them.

    Where the layer runs fp16, the upper half of the floating range means that.
    """
    most = max(activation, weight)
    narrow = any(
        max(pair.weight_bits, pair.activation_bits) < 8 or pair.weight_bits != pair.activation_bits for pair in legal
    )
    if most > MIXED_ABOVE and narrow:
        return Bits(width(weight, reference), width(activation, reference))
    if most > INT8_ABOVE and INT8 in legal:
        return INT8
    if most > FP16_ABOVE and FP16 in legal:
        return FP16
    return FP32


def widths_actions(bits: Bits, reference: int) -> tuple[float, float]:
    """Return activation and weight actions in the middle of those that `widths` maps to `bits`."""
    if bits == FP32:
        return FP16_ABOVE / 2, FP16_ABOVE / 2
    if bits == FP16:
        middle = (FP16_ABOVE + INT8_ABOVE) / 2
        return middle, middle
    if bits == INT8:
        middle = (INT8_ABOVE + MIXED_ABOVE) / 2
        return middle, middle
    return width_action(bits.activation_bits, reference), width_action(bits.weight_bits, reference)
