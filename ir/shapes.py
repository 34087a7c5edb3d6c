"""Shapes of values: inferred, read, and pinned where something needs numbers."""

from collections.abc import Mapping, Sequence
from math import prod

import onnx
import onnx_ir

from galen.ir import edit, large, stand_ins
from galen.ir.errors import GalenError, UsageError
from galen.ir.message import is_foreign, to_message

_LARGE = 1024
"""Initializers of more elements than this are hidden from shape inference: their values cannot matter to a shape."""

Shapes = Mapping[str, tuple[int, ...]]
"""Input name -> the numbers that stand for its dimensions."""


def static_shape(value: onnx_ir.Value | None) -> tuple[int, ...] | None:
    """Return the shape of `value` as numbers, None when its rank or a dimension is unknown."""
    if value is None or value.shape is None or not value.shape.is_static():
        return None
    dims = tuple(int(dim) for dim in value.shape.numpy())
    return None if min(dims, default=0) < 0 else dims  # some exporters write -1 for "unknown"


def elements(value: onnx_ir.Value) -> int | None:
    """Return how many elements `value` has, None when that is unknown."""
    shape = static_shape(value)
    return None if shape is None else prod(shape)


def infer(model: onnx_ir.Model) -> bool:
    """Fill in the types and shapes that ONNX shape inference derives; return whether anything was learnt.

    Known shapes are never forgotten. What cannot be inferred (custom operators) stays unknown.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(_message(model), data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise GalenError(f"shapes do not fit: {' '.join(str(error).split())[:200]}") from error
    learnt = _learn_graph(model.graph, inferred.graph)
    if _learn_carried(model):
        infer(model)
        return True
    return learnt


def _message(model: onnx_ir.Model) -> onnx.ModelProto:
    message = without_weights(model)
    stand_ins.replace(message)
    return message


def _learn_graph(graph: onnx_ir.Graph, message: onnx.GraphProto) -> bool:
    """Learn what the message of a graph says of its values, and of those in the bodies of its nodes."""
    known = {info.name: info.type for info in (*message.input, *message.value_info, *message.output)}
    learnt = False
    for value in (*graph.inputs, *(output for node in graph for output in node.outputs)):
        if value.name in known:
            learnt |= _learn(value, known[value.name])
    for node, described in zip(graph, message.node, strict=True):
        bodies = [body for attr in described.attribute for body in _bodies(attr)]
        for body, inferred in zip(edit.subgraphs_of(node), bodies, strict=True):
            learnt |= _learn_graph(body, inferred)
    return learnt


def _bodies(attribute: onnx.AttributeProto) -> Sequence[onnx.GraphProto]:
    return [attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else attribute.graphs


def _learn_carried(model: onnx_ir.Model) -> bool:
    """Give values whose shape a Loop keeps, which ONNX leaves open, the shape that they begin with."""
    learnt = False
    for node in edit.all_nodes(model):
        if node.op_type != "Loop" or node.domain:
            continue
        (body,) = edit.subgraphs_of(node)
        for index, source in enumerate(node.inputs[2:]):
            output = node.outputs[index]
            if source is None or source.shape is None or output.shape is not None:
                continue
            if source.shape == body.outputs[index + 1].shape:
                output.shape, output.type, learnt = source.shape, output.type or source.type, True
    return learnt


def _learn(value: onnx_ir.Value, known: onnx.TypeProto) -> bool:
    learnt = False
    if is_foreign(known) or _is_known(value, known):
        return False
    if value.type is None and known.WhichOneof("value"):
        value.type, learnt = onnx_ir.serde.deserialize_type_proto_for_type(known), True
    shape = onnx_ir.serde.deserialize_type_proto_for_shape(known)
    if shape is None:
        return learnt
    if value.shape is None:
        value.shape = shape
        return True
    if len(value.shape) != len(shape):
        raise GalenError(f"declared with shape {value.shape} but computed with {shape}", where=value.name)
    pairs = list(zip(value.shape, shape, strict=True))
    if any(_vague(old) and not _vague(new) for old, new in pairs):
        value.shape = onnx_ir.Shape(new if _vague(old) else old for old, new in pairs)
        learnt = True
    return learnt


def _is_known(value: onnx_ir.Value, known: onnx.TypeProto) -> bool:
    """Return whether a value has a type and, in numbers, the shape that `known` says: seen without a conversion."""
    if value.type is None or value.shape is None or not known.HasField("tensor_type"):
        return False
    return [dim.dim_value for dim in known.tensor_type.shape.dim] == list(value.shape)


def symbol(dim: int | onnx_ir.SymbolicDim) -> str | None:
    """Return a dimension's name if it means something: equal names are then equal sizes.

    Exporters also write `?`, `-1` and `unk__7` for "unknown": those, like expressions, mean nothing.
    """
    name = None if isinstance(dim, int) else dim.value
    return name if name is not None and name.isidentifier() and not name.startswith("unk__") else None


def _vague(dim: int | onnx_ir.SymbolicDim) -> bool:
    return not isinstance(dim, int) and symbol(dim) is None


def without_weights(model: onnx_ir.Model) -> onnx.ModelProto:
    """Return the model as a message without large tensors: inference needs none, and takes no 2 GB."""
    if any(large.is_large(tensor) for tensor in large.inner_tensors(model)):
        copy = weights_as_inputs(model)
        large.take_out(copy)
        return to_message(copy)
    graph = model.graph
    hidden = _large_initializers(graph)
    shown = [value for value in graph.initializers.values() if value not in hidden]
    inputs = list(dict.fromkeys([*graph.inputs, *hidden]))
    view = onnx_ir.GraphView(inputs, graph.outputs, nodes=graph, initializers=shown, opset_imports=graph.opset_imports)
    functions = list(model.functions.values())
    return to_message(onnx_ir.Model(view, ir_version=model.ir_version, functions=functions))  # type: ignore[arg-type]


def weights_as_inputs(model: onnx_ir.Model) -> onnx_ir.Model:
    """Return a copy of the model in which large initializers are inputs without a default."""
    copy = model.clone()
    for value in _large_initializers(copy.graph):
        del copy.graph.initializers[str(value.name)]
        if value not in copy.graph.inputs:
            copy.graph.inputs.append(value)
    return copy


def _large_initializers(graph: onnx_ir.Graph) -> dict[onnx_ir.Value, None]:
    """Return the large initializers of a graph, their types and shapes filled in."""
    found: dict[onnx_ir.Value, None] = {}
    for value in graph.initializers.values():
        tensor = value.const_value
        if tensor is not None and tensor.size > _LARGE:
            value.shape = value.shape or onnx_ir.Shape(tensor.shape.numpy())
            value.type = value.type or onnx_ir.TensorType(tensor.dtype)
            found[value] = None
    return found


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """Read `NAME=1x3x32x32`.

    Raises:
        UsageError: the text has another form.
    """
    name, _, dims = text.rpartition("=")
    parts = dims.lower().split("x")
    if not name or not all(part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"{text!r} is not of the form NAME=1x3x32x32", where="--shape")
    return name, tuple(int(part) for part in parts)


def input_shapes(model: onnx_ir.Model, shapes: Shapes | None = None) -> dict[str, tuple[int, ...]]:
    """Return every input's shape as numbers: from `shapes`, from the model, and 1 for a batch that neither sets.

    Raises:
        GalenError: a name that is no input, a shape that contradicts the model, or another dimension that is unset.
    """
    shapes = shapes or {}
    names = [str(value.name) for value in _fed(model)]
    if unknown := sorted(set(shapes) - set(names)):
        raise GalenError(f"the model has no input {unknown[0]!r}", where="--shape", hint=f"inputs: {', '.join(names)}")
    symbols: dict[str, int] = {}
    for value in _fed(model):
        if value.name in shapes:
            _bind(value, shapes[str(value.name)], symbols)
    return {str(v.name): shapes.get(str(v.name)) or _resolve(v, symbols) for v in _fed(model)}


def _fed(model: onnx_ir.Model) -> list[onnx_ir.Value]:
    """Inputs that the caller must feed: those without a default."""
    return [value for value in model.graph.inputs if value.name not in model.graph.initializers]


def _bind(value: onnx_ir.Value, given: Sequence[int], symbols: dict[str, int]) -> None:
    declared = list(value.shape) if value.shape is not None else [None] * len(given)
    fits = len(declared) == len(given)
    for dim, number in zip(declared, given, strict=False):
        if isinstance(dim, int):
            fits &= dim == number
        elif dim is not None and (name := symbol(dim)) is not None:
            fits &= symbols.setdefault(name, number) == number
    if not fits:
        text = "x".join(str(number) for number in given)
        raise GalenError(f"the shape {text} does not fit the model's {value.shape}", where=f"input {value.name}")


def _resolve(value: onnx_ir.Value, symbols: Mapping[str, int]) -> tuple[int, ...]:
    hint = f"pin it with --shape {value.name}=…"
    if not isinstance(value.type, onnx_ir.TensorType):
        raise GalenError(f"is no tensor but {value.type}", where=f"input {value.name}")
    if value.shape is None:
        raise GalenError("has no shape", where=f"input {value.name}", hint=hint)
    numbers = []
    for axis, dim in enumerate(value.shape):
        number = dim if isinstance(dim, int) else symbols.get(symbol(dim) or "", 1 if axis == 0 else None)
        if number is None:
            name = f"dimension {axis} ({dim})" if symbol(dim) else f"dimension {axis}"
            raise GalenError(f"{name} is not set", where=f"input {value.name}", hint=hint)
        numbers.append(number)
    return tuple(numbers)


def pin(model: onnx_ir.Model, shapes: Shapes | None = None) -> bool:
    """Give every input the numbers of `input_shapes` and infer the rest anew; return whether anything changed.

    Pin a clone (`model.clone()`) where the saved model is to keep its dynamic dimensions.

    Raises:
        GalenError: see `input_shapes`.
    """
    changed = False
    symbols: dict[str, int] = {}
    for value in _fed(model):
        if value.shape is not None:
            _bind(value, input_shapes(model, shapes)[str(value.name)], symbols)
    for name, shape in input_shapes(model, shapes).items():
        value = next(value for value in model.graph.inputs if value.name == name)
        changed |= static_shape(value) != shape
        value.shape = onnx_ir.Shape(shape)
    for graph in edit.all_graphs(model):
        for node in graph:
            for value in node.outputs:
                if value.shape is not None and static_shape(value) is None:
                    value.shape = _substitute(value.shape, symbols)
    return infer(model) or changed


def _substitute(shape: onnx_ir.Shape, symbols: Mapping[str, int]) -> onnx_ir.Shape:
    """Replace bound symbols by their numbers and forget the others, which may have been expressions of them."""
    numbers = ((dim if dim >= 0 else None) if isinstance(dim, int) else symbols.get(symbol(dim) or "") for dim in shape)
    return onnx_ir.Shape(numbers)
