"""The tensors that make a model large, wherever they are: initializers, Constant nodes, bodies of functions."""

from collections.abc import Callable, Iterator

import onnx_ir

from galen.ir import wire
from galen.ir.edit import all_graphs

Replacement = Callable[[onnx_ir.TensorProtocol], onnx_ir.TensorProtocol]


def is_large(tensor: onnx_ir.TensorProtocol) -> bool:
    """Return whether a tensor is worth more than a place in the message."""
    return tensor.dtype != onnx_ir.DataType.STRING and tensor.nbytes >= wire.LARGE


def tensors(model: onnx_ir.Model) -> Iterator[onnx_ir.TensorProtocol]:
    """Yield the tensor of every initializer and tensor attribute."""
    for graph in _bodies(model):
        if isinstance(graph, onnx_ir.Graph):
            yield from (v.const_value for v in graph.initializers.values() if v.const_value is not None)
        for node in graph:
            yield from (a.value for a in node.attributes.values() if _is_tensor(a))


def inner_tensors(model: onnx_ir.Model) -> Iterator[onnx_ir.TensorProtocol]:
    """Yield those of `tensors` that are no initializers of the main graph."""
    outer = {id(value.const_value) for value in model.graph.initializers.values()}
    yield from (tensor for tensor in tensors(model) if id(tensor) not in outer)


def replace(model: onnx_ir.Model, new: Replacement) -> None:
    """Replace every tensor that `tensors` yields by what `new` returns for it."""
    for graph in _bodies(model):
        if isinstance(graph, onnx_ir.Graph):
            for value in graph.initializers.values():
                if value.const_value is not None:
                    value.const_value = new(value.const_value)
        for node in graph:
            for attr in filter(_is_tensor, list(node.attributes.values())):
                tensor = attr.value
                if (other := new(tensor)) is not tensor:
                    node.attributes.add(onnx_ir.Attr(attr.name, attr.type, other, doc_string=attr.doc_string))


def take_out(model: onnx_ir.Model) -> list[onnx_ir.TensorProtocol]:
    """Turn every large tensor into an external one at `wire.HERE`, whose offset is its place in the returned list."""
    taken: list[onnx_ir.TensorProtocol] = []

    def pointer_to(tensor: onnx_ir.TensorProtocol) -> onnx_ir.TensorProtocol:
        if not is_large(tensor):
            return tensor
        taken.append(tensor)
        return pointer(tensor, wire.HERE, len(taken) - 1)

    replace(model, pointer_to)
    return taken


def pointer(tensor: onnx_ir.TensorProtocol, location: str, offset: int) -> onnx_ir.ExternalTensor:
    """Return what stands for `tensor` where its bytes are elsewhere."""
    shape = onnx_ir.Shape(tensor.shape.numpy())
    return onnx_ir.ExternalTensor(location, offset, tensor.nbytes, tensor.dtype, shape=shape, name=tensor.name or "")


def total_bytes(model: onnx_ir.Model) -> int:
    """Return how many bytes the large tensors of a model take."""
    return sum(tensor.nbytes for tensor in tensors(model) if is_large(tensor))


def _bodies(model: onnx_ir.Model) -> Iterator[onnx_ir.Graph | onnx_ir.Function]:
    yield from all_graphs(model)
    for function in model.functions.values():
        yield function
        yield from function.subgraphs()


def _is_tensor(attr: onnx_ir.Attr) -> bool:
    return attr.type == onnx_ir.AttributeType.TENSOR and not attr.is_ref()
