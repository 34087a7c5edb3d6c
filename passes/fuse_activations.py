"""Recognise activations that exporters write in several operators."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isclose, sqrt
from typing import TYPE_CHECKING, Any

from galen.ir import Model, Value
from galen.ir.edit import attribute
from galen.passes.base import Pass
from galen.passes.name_nodes import NameNodes

if TYPE_CHECKING:
    from onnxscript.rewriter.pattern import RewriteRule

SINCE = {"HardSwish": 14, "Gelu": 20, "Swish": 24}
"""Operator -> the first opset that has it."""


@dataclass(frozen=True)
class FuseActivations(Pass, name="fuse-activations"):
    """Replace decomposed activations by HardSwish (opset 14), Gelu (opset 20) and Swish, also called SiLU (opset 24).

    Activations that the model's opset does not have stay; `convert-opset` first to get them.
    """

    tolerance = 1e-5

    def apply(self, model: Model, /) -> bool:
        """Return whether anything was recognised."""
        from onnxscript.rewriter.pattern import RewriteRuleSet  # noqa: PLC0415

        opset = model.opset_imports.get("", 0)
        rules = [rule for op, rule in _rules() if SINCE[op] <= opset]
        if not rules:
            return False
        named = NameNodes().apply(model)  # else the rewriter calls every unnamed node "node"
        return bool(RewriteRuleSet(rules, commute=True).apply_to_model(model)) or named


def _rules() -> list[tuple[str, "RewriteRule"]]:
    from onnxscript.rewriter.pattern import RewriteRule  # noqa: PLC0415

    def to(name: str) -> Callable[..., Any]:
        return lambda op, x, **_: getattr(op, name)(x)

    hard_swish = (_clip_times_x_by_six, _x_by_six_times_clip)
    gelu = (_gelu_half_last, _gelu_half_first, _gelu_half_inside)
    return [
        *(("HardSwish", RewriteRule(pattern, to("HardSwish"))) for pattern in hard_swish),
        ("HardSwish", RewriteRule(_hard_sigmoid_times_x, to("HardSwish"), _is_hard_swish)),
        *(("Gelu", RewriteRule(_with(pattern, root), to("Gelu"))) for pattern in gelu for root in (_erf_div, _erf_mul)),
        ("Swish", RewriteRule(_sigmoid_times_x, to("Swish"))),
    ]


def _clip_times_x_by_six(op: Any, x: Any) -> Any:
    return op.Mul(x, op.Clip(op.Add(x, 3.0), 0.0, 6.0)) / 6.0


def _x_by_six_times_clip(op: Any, x: Any) -> Any:
    return op.Mul(x, op.Clip(op.Add(x, 3.0), 0.0, 6.0) / 6.0)


def _hard_sigmoid_times_x(op: Any, x: Any) -> Any:
    return op.Mul(x, op.HardSigmoid(x, _allow_other_attributes=True, _outputs=["gate"]))


def _is_hard_swish(_: Any, gate: Value, **__: Any) -> bool:
    node = gate.producer()
    return (
        node is not None
        and isclose(attribute(node, "alpha", 0.2), 1 / 6, rel_tol=1e-5)
        and (isclose(attribute(node, "beta", 0.5), 0.5))
    )


def _sigmoid_times_x(op: Any, x: Any) -> Any:
    return op.Mul(x, op.Sigmoid(x))


def _erf_div(op: Any, x: Any) -> Any:
    return op.Add(op.Erf(op.Div(x, sqrt(2))), 1.0)


def _erf_mul(op: Any, x: Any) -> Any:
    return op.Add(op.Erf(op.Mul(x, sqrt(0.5))), 1.0)


def _gelu_half_last(op: Any, x: Any, erf: Any) -> Any:
    return op.Mul(op.Mul(x, erf), 0.5)


def _gelu_half_first(op: Any, x: Any, erf: Any) -> Any:
    return op.Mul(op.Mul(x, 0.5), erf)


def _gelu_half_inside(op: Any, x: Any, erf: Any) -> Any:
    return op.Mul(x, op.Mul(erf, 0.5))


def _with(outer: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    def pattern(op: Any, x: Any) -> Any:
        return outer(op, x, inner(op, x))

    return pattern
