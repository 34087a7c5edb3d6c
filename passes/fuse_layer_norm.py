"""Recognise layer normalization that exporters write in nine operators (Ba et al. 2016, equation 4)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from galen.ir import Model, Value
from galen.ir.edit import attribute, const_value
from galen.passes.base import Pass
from galen.passes.name_nodes import NameNodes

Square = Callable[[Any, Any], Any]

SINCE = 17
"""The first opset with LayerNormalization."""


@dataclass(frozen=True)
class FuseLayerNorm(Pass, name="fuse-layer-norm"):
    """Replace (x - mean) / sqrt(variance + epsilon) x scale + bias over the last axis by LayerNormalization (opset 17).

    A model of an older opset stays as it is; `convert-opset` first.
    """

    tolerance = 1e-5

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was recognised."""
        from onnxscript.rewriter.pattern import RewriteRule, RewriteRuleSet  # noqa: PLC0415

        if model.opset_imports.get("", 0) < SINCE:
            return False
        patterns = [
            of(square) for of in (_axes_as_attribute, _axes_as_input) for square in (_square_by_pow, _square_by_mul)
        ]
        rules = [RewriteRule(pattern, _fused, _over_last_axis) for pattern in patterns]
        named = NameNodes().apply(model)  # else the rewriter calls every unnamed node "node"
        return bool(RewriteRuleSet(rules, commute=True).apply_to_model(model)) or named


def _square_by_pow(op: Any, x: Any) -> Any:
    return op.Pow(x, 2.0)


def _square_by_mul(op: Any, x: Any) -> Any:
    return op.Mul(x, x)


def _axes_as_attribute(square: Square) -> Callable[..., Any]:
    def pattern(op: Any, x: Any, scale: Any, bias: Any, epsilon: Any) -> Any:
        centred = op.Sub(x, op.ReduceMean(x, _allow_other_attributes=True, _outputs=["mean"]))
        variance = op.ReduceMean(square(op, centred), _allow_other_attributes=True, _outputs=["variance"])
        return _normalized(op, centred, variance, epsilon, scale, bias)

    return pattern


def _axes_as_input(square: Square) -> Callable[..., Any]:
    """ReduceMean from opset 18 on."""

    def pattern(  # noqa: PLR0917, the names are the pattern's variables
        op: Any, x: Any, scale: Any, bias: Any, epsilon: Any, axes: Any, axes_again: Any
    ) -> Any:
        centred = op.Sub(x, op.ReduceMean(x, axes, _allow_other_attributes=True, _outputs=["mean"]))
        variance = op.ReduceMean(square(op, centred), axes_again, _allow_other_attributes=True, _outputs=["variance"])
        return _normalized(op, centred, variance, epsilon, scale, bias)

    return pattern


def _normalized(op: Any, centred: Any, variance: Any, epsilon: Any, scale: Any, bias: Any) -> Any:  # noqa: PLR0917
    return op.Add(op.Mul(op.Div(centred, op.Sqrt(op.Add(variance, epsilon))), scale), bias)


def _over_last_axis(_: Any, **matched: Value) -> bool:
    """Both means are over the last axis and keep it, and scale and bias are vectors along it."""
    x, epsilon = matched["x"], const_value(matched["epsilon"])
    if epsilon is None or epsilon.size != 1 or x.shape is None:
        return False
    weights = [const_value(matched[name]) for name in ("scale", "bias")]
    if any(weight is None or weight.ndim != 1 or weight.shape[0] != x.shape[-1] for weight in weights):
        return False
    return all(_axes(matched[name]) in ([-1], [len(x.shape) - 1]) for name in ("mean", "variance"))


def _axes(mean: Value) -> list[int] | None:
    node = mean.producer()
    if node is None or not attribute(node, "keepdims", 1):
        return None
    axes = const_value(node.inputs[1]) if len(node.inputs) > 1 else attribute(node, "axes")
    return None if axes is None else [int(axis) for axis in axes]


def _fused(op: Any, x: Value, scale: Value, bias: Value, epsilon: Value, **_: Any) -> Any:
    number = np.asarray(const_value(epsilon)).item()
    return op.LayerNormalization(x, scale, bias, axis=-1, epsilon=float(number))
