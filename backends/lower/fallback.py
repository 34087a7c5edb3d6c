"""What no rule lowers becomes a kernel of TVM's own making for that one node."""

import base64
from typing import Any

import numpy as np

from galen.backends.kernels.fallback import Fallback
from galen.backends.lower.lowering import Lowering
from galen.ir import GalenError, Node
from galen.ir.edit import attribute, const_value
from galen.ir.isolate import single_node_model

PARAMETERS: dict[str, int] = {
    **dict.fromkeys(("Clip", "CumSum", "Expand", "OneHot", "Pad", "Reshape", "Resize", "Slice", "Split", "Squeeze"), 1),
    **dict.fromkeys(("Tile", "TopK", "Trilu", "Unsqueeze", "Upsample"), 1),
    **dict.fromkeys(
        (f"Reduce{f}" for f in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum")), 1
    ),
    **dict.fromkeys(("ConstantOfShape", "Range"), 0),
}
"""Operator -> first input that says what to do (axes, pads, shapes): constants from there on are part of the kernel."""

IGNORED: dict[str, dict[str, Any]] = {
    "IsInf": {"detect_negative": 1, "detect_positive": 1},
    "RoiAlign": {"mode": "avg"},
    "SpaceToDepth": {"mode": "DCR"},
}
"""Attributes that TVM's frontend disregards, and the only values that it computes rightly."""


def fallback(low: Lowering, node: Node) -> None:
    """Lower `node` through TVM's ONNX frontend.

    Raises:
        GalenError: the node is not of ONNX's own operators. (What TVM does not know shows when it is compiled.)
    """
    if node.domain not in ("", "ai.onnx"):
        raise GalenError(f"operator {node.domain}.{node.op_type} cannot be lowered", where=f"node {node.name}")
    for name, usual in IGNORED.get(node.op_type, {}).items():
        if attribute(node, name, usual) != usual:
            reason = f"{name}={attribute(node, name)} of {node.op_type} cannot be lowered"
            raise GalenError(reason, where=f"node {node.name}", hint=f"{usual} can")
    parameters = node.inputs[PARAMETERS.get(node.op_type, len(node.inputs)) :]
    embedded = {v: c for v in parameters if v is not None and (c := const_value(v)) is not None}
    read = list(dict.fromkeys(v for v in node.inputs if v is not None and v not in embedded))
    written = [v for v in node.outputs if v.uses() or v.is_graph_output()]
    proto = single_node_model(low.model, node, embedded)
    specs = tuple(map(low.spec, read)), tuple(map(low.spec, written))
    model = base64.b64encode(proto.SerializeToString(deterministic=True)).decode()
    kernel = Fallback(node.op_type, model, *specs, macs=_macs(low, node), node=node.name or "")
    sources = [low.dense(v) for v in read]
    low.call(kernel, (*sources, *(low.define(v, low.spec(v)) for v in written)), node)


def _macs(low: Lowering, node: Node) -> int:
    """Return the multiply-accumulates of products; other operators have none."""
    inputs = [v for v in node.inputs if v is not None]
    result = int(np.prod(low.shape(node.outputs[0])))
    if node.op_type in ("MatMul", "Gemm"):
        return result * low.shape(inputs[0])[-1]
    if node.op_type == "Conv":
        return result * int(np.prod(low.shape(inputs[1])[1:]))
    return 0
