"""A model of a single node, the same for every node that computes the same."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx.numpy_helper
import onnx_ir

from galen.ir.shapes import static_shape


def single_node_model(
    model: onnx_ir.Model, node: onnx_ir.Node, constants: Mapping[onnx_ir.Value, np.ndarray]
) -> onnx.ModelProto:
    """Return a model of `node` alone, with static shapes and neutral names.

    Args:
        model: where the node is; gives the operator set.
        node: all its inputs and outputs have known shapes and types.
        constants: inputs that become initializers; the others become graph inputs, in order and each once.
    """
    used = [value for value in node.outputs if value.uses() or value.is_graph_output()]
    names = {value: f"x{i}" for i, value in enumerate(v for v in dict.fromkeys(node.inputs) if v is not None)}
    names |= {value: f"y{i}" for i, value in enumerate(used)}
    proto = onnx_ir.to_proto(node)
    proto.ClearField("name")
    proto.ClearField("doc_string")
    proto.ClearField("metadata_props")
    proto.input[:] = [names[v] if v is not None else "" for v in node.inputs]
    proto.output[:] = [names.get(v, "") for v in node.outputs]
    graph = onnx.helper.make_graph(
        [proto],
        "node",
        [_info(names[v], v) for v in dict.fromkeys(node.inputs) if v is not None and v not in constants],
        [_info(names[v], v) for v in used],
        [onnx.numpy_helper.from_array(array, names[v]) for v, array in constants.items()],
    )
    opset = onnx.helper.make_opsetid("", model.opset_imports.get("", 18))
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)


def _info(name: str, value: onnx_ir.Value) -> onnx.ValueInfoProto:
    if value.dtype is None:
        raise ValueError(f"value {value.name} has no type")
    return onnx.helper.make_tensor_value_info(name, int(value.dtype), static_shape(value))
