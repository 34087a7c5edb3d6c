"""Move a model to another version of the operator set."""

from dataclasses import dataclass

import onnx
from onnx import version_converter

from galen.ir import GalenError, Model, UsageError
from galen.ir.clone import clone, restore
from galen.ir.edit import all_nodes
from galen.ir.execute import one_line
from galen.ir.io import from_proto, to_proto
from galen.ir.outline import large_initializers
from galen.ir.shapes import infer
from galen.passes.base import Pass
from galen.passes.downgrade import downgrade
from galen.passes.inline_functions import InlineFunctions

_SCAN_WITHOUT_BATCH = 9
"""The opset whose Scan lost its axis of samples: ONNX's converter has not noticed."""


@dataclass(frozen=True)
class ConvertOpset(Pass, name="convert-opset"):
    """Convert the model to another version of the standard operators: forward with ONNX's converter, back node by node.

    Attributes:
        version: the version to convert to.
    """

    version: int

    tolerance = 1e-5

    def __post_init__(self) -> None:
        newest = onnx.defs.onnx_opset_version()
        if not 7 <= self.version <= newest:
            raise UsageError(f"{self.version} is not from 7 to {newest}", where="version")

    def apply(self, model: Model, /) -> bool:
        """Return whether the version was another."""
        current = model.opset_imports.get("")
        if current in (None, self.version):
            return False
        InlineFunctions().apply(model)
        infer(model)
        if self.version < current:
            downgrade(model, self.version)
        else:
            _upgrade(model, self.version)
        return True


def _upgrade(model: Model, version: int) -> None:
    for node in all_nodes(model):
        if node.op_type == "Scan" and not node.domain and model.opset_imports[""] < _SCAN_WITHOUT_BATCH <= version:
            raise GalenError(f"Scan has another form from opset {_SCAN_WITHOUT_BATCH} on", where=f"node {node.name}")
    try:
        proto = version_converter.convert_version(to_proto(_weights_as_inputs(model)), version)
    except (RuntimeError, ValueError) as error:
        raise GalenError(f"cannot be converted to opset {version}: {one_line(error)}") from error
    converted = from_proto(proto)
    _bring_weights(model, converted)
    converted.metadata_props.update(model.metadata_props)
    restore(model, converted)


def _weights_as_inputs(model: Model) -> Model:
    """Return a copy of the model in which large initializers are inputs without a default."""
    copy = clone(model)
    for value in large_initializers(copy.graph):
        del copy.graph.initializers[str(value.name)]
        if value not in copy.graph.inputs:
            copy.graph.inputs.append(value)
    return copy


def _bring_weights(model: Model, converted: Model) -> None:
    """Turn the inputs that stood for weights into initializers again."""
    kept = {value.name for value in model.graph.inputs}
    inputs = list(converted.graph.inputs)
    converted.graph.inputs.clear()
    for value in inputs:
        original = model.graph.initializers.get(str(value.name))
        if original is None or value.name in kept:
            converted.graph.inputs.append(value)
        if original is not None and value.name not in converted.graph.initializers:
            value.const_value = original.const_value
            converted.graph.register_initializer(value)
