"""Shapes of values: inferred, read, and pinned where something needs numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import onnx
import onnx_ir

from galen.ir import edit, stand_ins
from galen.ir.errors import GalenError, UsageError
from galen.ir.message import is_foreign
from galen.ir.outline import outline

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

    Raises:
        GalenError: shapes contradict each other.
    """
    try:
        message = outline(model)
        stand_ins.replace(message)
        inferred = onnx.shape_inference.infer_shapes(message, data_prop=True)
    except onnx.shape_inference.InferenceError as error:
        raise GalenError(f"shapes do not fit: {' '.join(str(error).split())[:200]}") from error
    learnt = _learn_graph(model.graph, inferred.graph, {})
    if _learn_carried(model):
        infer(model)
        return True
    return learnt


def infer_missing(model: onnx_ir.Model) -> None:
    """Infer types and shapes unless all are known.

    Raises:
        GalenError: see `infer`.
    """
    if not all(map(_is_settled, _computed(model))):
        infer(model)


def _computed(model: onnx_ir.Model) -> Iterator[onnx_ir.Value]:
    for graph in edit.all_graphs(model):
        yield from graph.inputs
        for node in graph:
            yield from node.outputs


def _is_settled(value: onnx_ir.Value) -> bool:
    """Whether a value has a type and a shape about which nothing can be learnt; outputs left out have no name."""
    if not value.name:
        return True
    return value.type is not None and value.shape is not None and not any(map(_vague, value.shape.dims))


def _learn_graph(graph: onnx_ir.Graph, message: onnx.GraphProto, read: "dict[bytes, _Known]") -> bool:
    """Learn what the message of a graph says of its values, and of those in the bodies of its nodes.

    `read` holds the types that were met, most of them many times, by their bytes.
    """
    said = {info.name: info.type for info in (*message.input, *message.value_info, *message.output)}
    learnt = False
    for value in (*graph.inputs, *(output for node in graph for output in node.outputs)):
        if (kind := said.get(value.name)) is not None:
            key = kind.SerializeToString()
            known = read.get(key) or read.setdefault(key, _Known.of(kind))
            learnt |= _learn(value, known)
    for node, described in zip(graph, message.node, strict=True):
        inner = edit.subgraphs_of(node)
        bodies = [body for attr in described.attribute for body in _bodies(attr)] if inner else ()
        for body, inferred in zip(inner, bodies, strict=True):
            learnt |= _learn_graph(body, inferred, read)
    return learnt


@dataclass(frozen=True)
class _Known:
    """What inference says of a value: its type as a message and its shape, None where the IR has no form for it."""

    kind: onnx.TypeProto | None
    shape: onnx_ir.Shape | None

    @classmethod
    def of(cls, kind: onnx.TypeProto) -> "_Known":
        if is_foreign(kind):
            return cls(None, None)
        return cls(kind if kind.WhichOneof("value") else None, onnx_ir.serde.deserialize_type_proto_for_shape(kind))

    def type(self) -> onnx_ir.TypeProtocol | None:
        """Return a type of its own, for types can be changed in place."""
        if self.kind is not None and self.kind.HasField("tensor_type") and not self.kind.denotation:
            return onnx_ir.TensorType(onnx_ir.DataType(self.kind.tensor_type.elem_type))
        return None if self.kind is None else onnx_ir.serde.deserialize_type_proto_for_type(self.kind)


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


def _learn(value: onnx_ir.Value, known: _Known) -> bool:
    learnt = False
    if value.type is None and known.kind is not None:
        value.type, learnt = known.type(), True
    if known.shape is None:
        return learnt
    if value.shape is None:
        value.shape = known.shape.copy()
        return True
    if len(value.shape) != len(known.shape):
        raise GalenError(f"declared with shape {value.shape} but computed with {known.shape}", where=value.name)
    pairs = list(zip(value.shape, known.shape, strict=True))
    if any(_vague(old) and not _vague(new) for old, new in pairs):
        value.shape = onnx_ir.Shape(new if _vague(old) else old for old, new in pairs)
        learnt = True
    return learnt


def symbol(dim: int | onnx_ir.SymbolicDim) -> str | None:
    """Return a dimension's name if it means something: equal names are then equal sizes.

    Exporters also write `?`, `-1` and `unk__7` for "unknown": those, like expressions, mean nothing.
    """
    name = None if isinstance(dim, int) else dim.value
    return name if name is not None and name.isidentifier() and not name.startswith("unk__") else None


def _vague(dim: int | onnx_ir.SymbolicDim) -> bool:
    return not isinstance(dim, int) and symbol(dim) is None


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
