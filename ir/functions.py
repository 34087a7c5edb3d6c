"""Operators that ONNX defines by simpler ones: a node becomes the nodes of its definition."""

from collections.abc import Callable

import onnx.defs
import onnx.inliner
import onnx_ir

from galen.ir.edit import Names, replace_node
from galen.ir.isolate import single_node_model


def expand_functions(model: onnx_ir.Model, chosen: Callable[[onnx_ir.Node], bool]) -> bool:
    """Replace nodes of the main graph by ONNX's own definition of their operators; return whether any was.

    Args:
        model: rewritten in place; shapes and types of the nodes' inputs and outputs are known.
        chosen: says which nodes; those whose operator has no definition stay.
    """
    names = Names(model)
    found = [node for node in model.graph if node.domain in ("", "ai.onnx") and chosen(node)]
    expanded = [_expand(model, node, names) for node in found]
    return any(expanded)


def _expand(model: onnx_ir.Model, node: onnx_ir.Node, names: Names) -> bool:
    given = [value for value in dict.fromkeys(node.inputs) if value is not None]
    proto = single_node_model(model, node, {})
    _complete(proto.graph.node[0], proto.opset_import[0].version)
    proto.graph.value_info.add(name="")  # the inliner wants a type of every input, also of those that are left out
    inlined = onnx.inliner.inline_selected_functions(proto, [("", node.op_type)], inline_schema_functions=True)
    if any(part.op_type == node.op_type for part in inlined.graph.node):
        return False
    part = onnx_ir.from_proto(inlined).graph
    nodes, made = list(part), iter(list(part.outputs))
    part.outputs.clear()
    part.remove(nodes)
    for inside, value in zip(part.inputs, given, strict=True):
        onnx_ir.convenience.replace_all_uses_with(inside, value)
    for new in nodes:
        new.name = names.fresh(f"{node.name}/{new.op_type}")
        for value in new.outputs:
            value.name = names.fresh(f"{node.name}/{value.name}")
    used = [bool(value.uses()) or value.is_graph_output() for value in node.outputs]
    replace_node(node, nodes, [next(made) if needed else onnx_ir.Value() for needed in used])
    return True


def _complete(node: onnx.NodeProto, version: int) -> None:
    """Set the attributes that `node` leaves at their defaults: the inliner drops what a definition makes of them."""
    given = {attribute.name for attribute in node.attribute}
    for name, attribute in onnx.defs.get_schema(node.op_type, version, "").attributes.items():
        if name not in given and attribute.default_value.name:
            node.attribute.append(attribute.default_value)
