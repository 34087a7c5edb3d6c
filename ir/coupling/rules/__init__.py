"""The table of coupling rules, by operator domain and type. A new operator is one more entry."""

from collections.abc import Mapping

from galen.ir.coupling.rule import Rule
from galen.ir.coupling.rules import (
    attention,
    control,
    convolution,
    elementwise,
    fused,
    lengths,
    linear,
    normalization,
    pieces,
    pooling,
    quantization,
    recurrent,
    reduction,
    reshaping,
    selection,
)

_FAMILIES = (
    attention,
    control,
    convolution,
    elementwise,
    lengths,
    linear,
    normalization,
    pieces,
    pooling,
    quantization,
    recurrent,
    reduction,
    reshaping,
    selection,
)

RULES: Mapping[tuple[str, str], Rule] = {
    **{("", op): rule for family in _FAMILIES for op, rule in family.RULES.items()},
    **{("com.microsoft", op): rule for op, rule in fused.RULES.items()},
}
