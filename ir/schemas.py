"""What ONNX says of its operators, and whether nodes keep to it."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple, cast

import onnx_ir
from onnx.defs import OpSchema, SchemaError, get_schema

from galen.ir.edit import all_graphs
from galen.ir.errors import GalenError

_LAST = 2**31 - 1
"""No larger version can be asked for."""


def schema_of(node: onnx_ir.Node, version: int) -> OpSchema | None:
    """Return the schema of a standard operator in a version of the operator set, None where it has none."""
    return _schema(node.op_type, version)


def allows(parameters: Sequence[OpSchema.FormalParameter], index: int, dtype: onnx_ir.DataType) -> bool:
    """Return whether the input or output number `index` may be a tensor of that type; the last one may be many."""
    return f"tensor({dtype.name.lower()})" in parameters[min(index, len(parameters) - 1)].types


class _Form(NamedTuple):
    """How a node of an operator looks: how many inputs and outputs, which attributes of which type.

    The first `needed` inputs are never left out.
    """

    needed: int
    inputs: tuple[int, int]
    outputs: tuple[int, int]
    attributes: Mapping[str, int]
    required: frozenset[str]


def check_form(model: onnx_ir.Model) -> None:
    """Check the standard operators of a model, so that rewrites need not doubt their attributes and inputs.

    Attributes that an operator does not have are none of its business and pass.

    Raises:
        GalenError: an operator set that cannot be, a name that is no text, too few or too many inputs or outputs, an
            attribute of a wrong type, or an input or attribute that is missing.
    """
    version = _version(model.opset_imports)
    for graph in all_graphs(model):
        for node in graph:
            _check_node(node, version)
    for function in model.functions.values():
        version = _version(function.opset_imports)
        for node in function.all_nodes():
            _check_node(node, version)


def _version(opsets: Mapping[str, int]) -> int:
    version = opsets.get("", 1)
    if not 1 <= version <= _LAST:
        raise GalenError(f"there is no version {version} of the standard operators", where="opset_import")
    return version


def _check_node(node: onnx_ir.Node, version: int) -> None:
    values = (value.name for value in (*node.inputs, *node.outputs) if value is not None)
    if any(isinstance(text, bytes) for text in (node.name, node.op_type, node.domain, *values)):
        raise GalenError("a name is not UTF-8", where=f"node {node.name or node.op_type!r}")
    form = _form(node.op_type, version) if node.domain in ("", "ai.onnx") else None
    if form is None:
        return
    where = f"node {node.name or node.op_type}"
    for what, found, (least, most) in (
        ("inputs", len(node.inputs), form.inputs),
        ("outputs", len(node.outputs), form.outputs),
    ):
        if not least <= found <= most:
            amount = "few" if found < least else "many"
            raise GalenError(f"{found} {what} are too {amount} for {node.op_type} of opset {version}", where=where)
    if None in node.inputs[: form.needed]:
        raise GalenError(f"input {node.inputs.index(None)} of {node.op_type} is left out", where=where)
    for name, attr in node.attributes.items():
        if form.attributes.get(name, attr.type) != attr.type:
            expected = onnx_ir.AttributeType(form.attributes[name]).name
            raise GalenError(f"attribute {name} is {attr.type.name}, expected {expected}", where=where)
    if missing := sorted(form.required - set(node.attributes)):
        raise GalenError(f"attribute {missing[0]} of {node.op_type} is missing", where=where)


@cache
def _schema(op_type: str, version: int) -> OpSchema | None:
    try:
        return get_schema(op_type, version, "")
    except SchemaError:
        return None


@cache
def _form(op_type: str, version: int) -> _Form | None:
    schema = _schema(op_type, version)
    if schema is None:
        return None
    return _Form(
        _needed(schema),
        (schema.min_input, schema.max_input),
        (schema.min_output, schema.max_output),
        {name: cast(int, attr.type) for name, attr in schema.attributes.items()},
        frozenset(name for name, attr in schema.attributes.items() if attr.required),
    )


def _needed(schema: OpSchema) -> int:
    optional = OpSchema.FormalParameterOption.Optional
    return next((i for i, parameter in enumerate(schema.inputs) if parameter.option == optional), len(schema.inputs))
