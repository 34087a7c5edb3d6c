"""Taking nodes with bodies (If, Loop) apart: what they hold moves out, or is let go of."""

from collections.abc import Sequence

import onnx_ir

from galen.ir.edit import Names, can_stand_for, owner, replace_uses, subgraphs_of


def inline_body(body: onnx_ir.Graph, node: onnx_ir.Node, arguments: Sequence[onnx_ir.Value], names: Names) -> None:
    """Move `body` to where `node` is, which is removed; what `node` computed is now what `body` does.

    Args:
        body: a graph among the node's attributes, with as many outputs as the node.
        node: an If or one like it; its outputs keep their names.
        arguments: what the inputs of `body` stand for.
        names: of the model; what is moved gets new ones where its own are in use.
    """
    graph = owner(node)
    for value, argument in zip(body.inputs, arguments, strict=True):
        value.replace_all_uses_with(argument, replace_graph_outputs=True)
    for value in list(body.initializers.values()):
        del body.initializers[str(value.name)]
        value.name = names.fresh(str(value.name))
        graph.register_initializer(value)
    results, nodes = list(body.outputs), list(body)
    body.outputs.clear()
    body.remove(nodes)
    for moved in nodes:
        moved.name = names.fresh(moved.name or moved.op_type)
        for output in moved.outputs:
            output.name = names.fresh(output.name or moved.op_type)
    graph.insert_before(node, nodes)
    for output, result in zip(node.outputs, results, strict=True):
        forward(node, output, result)
    discard(node)


def forward(node: onnx_ir.Node, output: onnx_ir.Value, source: onnx_ir.Value) -> None:
    """Let what reads `output` of `node` read `source`: through an Identity where the model's interface asks for it."""
    if not can_stand_for(source, output):
        identity = onnx_ir.Node("", "Identity", [source], name=f"{output.name}/Identity")
        owner(node).insert_before(node, identity)
        source = identity.outputs[0]
    replace_uses(output, source)


def discard(node: onnx_ir.Node) -> None:
    """Remove a node that nothing reads, and let go of what its bodies read."""
    for body in subgraphs_of(node):
        body.outputs.clear()
        for inner in reversed(body):
            discard(inner)
    owner(node).remove(node, safe=True)
