"""Constants under a cut: the part that stays, and the removal of what nobody reads any more."""

from collections.abc import Mapping

from galen.ir import ExternalTensor, Graph, LazyTensor, Shape, Tensor, TensorProtocol, Value
from galen.ir.coupling.axes import Ids
from galen.ir.edit import const_tensor


def sliced(tensor: TensorProtocol, kept: Mapping[int, Ids]) -> TensorProtocol:
    """Return the part of a tensor that stays. What lies in a file is read only when it is needed, tensor by tensor."""

    def part() -> TensorProtocol:
        array = tensor.numpy()
        for axis, index in kept.items():
            array = array.take(index, axis)
        return Tensor(array, dtype=tensor.dtype, name=tensor.name)

    if not isinstance(tensor, (ExternalTensor, LazyTensor)):
        return part()
    dims = [len(kept[axis]) if axis in kept else dim for axis, dim in enumerate(tensor.shape.numpy())]
    return LazyTensor(part, tensor.dtype, Shape(dims), name=tensor.name)


def drop_unused_constant(value: Value | None) -> bool:
    """Remove a constant from its graph if nothing reads it; return whether it is gone."""
    if value is None or value.uses() or value.is_graph_output() or const_tensor(value) is None:
        return False
    graph, producer = value.graph, value.producer()
    if producer is not None and producer.graph is not None:
        producer.graph.remove(producer, safe=True)
    elif value.name is not None and isinstance(graph, Graph):
        graph.initializers.pop(value.name, None)
    return True
