"""`to_fx`: an ONNX graph as a `torch.fx.GraphModule`, one torch function per node."""

import inspect
import operator
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx_ir
import torch
from torch import Tensor, fx, nn

from galen.ir.batch import free_batch
from galen.ir.edit import attribute, const_value
from galen.ir.errors import GalenError
from galen.ir.fx.operators import INERT, find, quantized
from galen.ir.fx.operators.common import Ints, Operator
from galen.ir.fx.pairs import activation_pair
from galen.ir.fx.store import Store, is_trained
from galen.ir.fx.weights import PARAMETERS, Latent, latent_weight, weight_range
from galen.ir.library import RemoveInitializersFromInputsPass, applied

_QUANTIZED = {onnx_ir.DataType.INT8: torch.int8, onnx_ir.DataType.UINT8: torch.uint8}


def to_fx(model: onnx_ir.Model) -> fx.GraphModule:
    """Return `model` as torch code that runs on any batch, trains, and keeps the names of its initializers.

    Inputs are the model's inputs in order, the result is its output (a tuple when there are several).
    `module.meta["parameters"]` maps an initializer to the parameter that holds it (a dot in a name becomes a
    submodule). QuantizeLinear and DequantizeLinear become fake quantization; a weight or bias behind DequantizeLinear
    is a parameter in real numbers that is quantized at every use, so that training reaches it.
    Every fx node carries the ONNX value's name in `node.meta["value"]`.

    Raises:
        GalenError: an operator has no torch form here; the message names node and operator.
    """
    clone = model.clone()
    applied(RemoveInitializersFromInputsPass(), clone)
    free_batch(clone)
    return _Builder(clone).build()


class _Builder:
    """Carries the values converted so far: an fx node, or a tensor where everything is known already."""

    def __init__(self, model: onnx_ir.Model) -> None:
        self._model = model
        self._opset = model.opset_imports.get("", 1)
        self._graph = fx.Graph()
        self._store = Store()
        self._parameters: dict[str, str] = {}
        self._nodes: dict[onnx_ir.Value, fx.Node] = {}
        self._known: dict[onnx_ir.Value, Tensor] = {}

    def build(self) -> fx.GraphModule:
        graph = self._model.graph
        for value in graph.inputs:
            self._define(value, self._graph.placeholder(_identifier(value.name)))
        for node in graph:
            self._convert(node)
        results = [self._result(value) for value in graph.outputs]
        self._graph.output(results[0] if len(results) == 1 else tuple(results))
        module = fx.GraphModule(self._store.root, self._graph)
        self._graph.eliminate_dead_code()  # the QuantizeLinear of pairs that became one step
        module.recompile()
        module.meta[PARAMETERS] = self._parameters
        return module

    def _result(self, value: onnx_ir.Value) -> fx.Node:
        """Return an output's fx node; integers that QuantizeLinear holds in floats get their own type."""
        result = self._runtime(value)
        if value.dtype not in _QUANTIZED:
            return result
        name = f"{_identifier(value.name)}_as_integer"
        self._store.root.add_module(name, quantized.AsInteger(_QUANTIZED[value.dtype]))
        return self._graph.call_module(name, (result,))

    def _define(self, value: onnx_ir.Value, node: fx.Node) -> None:
        node.meta["value"] = value.name
        self._nodes[value] = node

    def _convert(self, node: onnx_ir.Node) -> None:
        if node.op_type == "Constant" and not node.domain:
            return
        function = find(node.op_type, self._opset) if node.domain in ("", "ai.onnx") else None
        if function is None:
            raise GalenError(
                f"operator {node.op_type!r} of {node.domain or 'ONNX'} has no torch form here", where=_where(node)
            )
        if node.op_type == "DequantizeLinear" and (latent := latent_weight(node)):
            self._define(node.outputs[0], self._fake_quantized(latent))
            return
        if node.op_type == "DequantizeLinear" and (pair := activation_pair(node)):
            grid = [self._runtime(value) for value in (pair.scale, pair.zero)]
            arguments: tuple[Any, ...] = (self._runtime(pair.source), *grid, pair.low, pair.high)
            self._define(node.outputs[0], self._graph.call_function(quantized.fake_quantize_activation, arguments))
            return
        keywords = self._keywords(node, function)
        if all(value is None or self._is_known(value, node, i) for i, value in enumerate(node.inputs)):
            self._fold(node, function, keywords)
        elif isinstance(function, type):
            self._emit_module(node, function(**keywords))
        else:
            self._emit(node, function, keywords)

    def _keywords(self, node: onnx_ir.Node, function: Operator) -> dict[str, Any]:
        """Return a node's attributes as keyword arguments, refusing one that the function knows nothing of."""
        accepted = _signature(function)
        keywords: dict[str, Any] = {}
        for name in node.attributes:
            value = attribute(node, name)
            if name in accepted and isinstance(value, onnx_ir.TensorProtocol):
                keywords |= {name: value.numpy().reshape(-1).tolist(), f"{name}_type": int(value.dtype)}
            elif name in accepted:
                keywords[name] = value
            elif value and name not in INERT.get(node.op_type, ()):
                raise GalenError(f"attribute {name}={value!r} of {node.op_type} has no torch form", where=_where(node))
        if node.op_type == "Split" and "split" not in keywords and len(node.inputs) < 2:
            keywords["num_outputs"] = len(node.outputs)
        return keywords

    def _is_known(self, value: onnx_ir.Value, node: onnx_ir.Node, index: int) -> bool:
        if value in self._known:
            return True
        array = const_value(value)
        if array is None or is_trained(array, node, index):
            return False
        self._known[value] = _tensor(array)
        return True

    def _fold(self, node: onnx_ir.Node, function: Operator, keywords: Mapping[str, Any]) -> None:
        inputs = [None if value is None else self._known[value] for value in node.inputs]
        results = function(*inputs, **keywords)
        for value, result in zip(node.outputs, results if isinstance(results, list) else [results], strict=False):
            self._known[value] = result

    def _emit(self, node: onnx_ir.Node, function: Operator, keywords: dict[str, Any]) -> None:
        kinds = list(_signature(function).values())
        arguments = [self._argument(value, node, i, kinds) for i, value in enumerate(node.inputs)]
        result = self._graph.call_function(function, tuple(arguments), keywords)
        used = [value for value in node.outputs if value.uses() or value.is_graph_output()]
        if _returns_list(function):
            for index, value in enumerate(node.outputs):
                self._define(value, self._graph.call_function(operator.getitem, (result, index)))
        elif all(value is node.outputs[0] for value in used):
            self._define(node.outputs[0], result)
        else:
            raise GalenError(f"output {used[-1].name!r} of {node.op_type} has no torch form here", where=_where(node))

    def _emit_module(self, node: onnx_ir.Node, module: nn.Module) -> None:
        name = f"{_identifier(node.name or node.op_type)}_{len(self._nodes)}"
        self._store.root.add_module(name, module)
        arguments = [self._runtime(value, node, i) for i, value in enumerate(node.inputs) if value is not None]
        self._define(node.outputs[0], self._graph.call_module(name, tuple(arguments)))

    def _argument(
        self, value: onnx_ir.Value | None, node: onnx_ir.Node, index: int, kinds: list[inspect.Parameter]
    ) -> Any:
        if value is None:
            return None
        if index < len(kinds) and kinds[index].annotation in (Ints, Ints | None) and self._is_known(value, node, index):
            return [int(number) for number in self._known[value].reshape(-1).tolist()]
        return self._runtime(value, node, index)

    def _runtime(self, value: onnx_ir.Value, node: onnx_ir.Node | None = None, index: int = 0) -> fx.Node:
        """Return the fx node of a value; a constant becomes a parameter or a buffer at its first use."""
        if value not in self._nodes:
            array = const_value(value)
            if node is not None and array is not None and is_trained(array, node, index):
                self._define(value, self._parameter(str(value.name), _tensor(array)))
            else:
                tensor = self._known[value] if value in self._known else _tensor(_required(array, value))
                path = self._store.register(str(value.name), tensor, trained=False)
                if node is not None and node.op_type == "BatchNormalization":
                    self._parameters[str(value.name)] = path  # statistics, which training updates too
                self._define(value, self._graph.get_attr(path))
        return self._nodes[value]

    def _parameter(self, name: str, tensor: Tensor) -> fx.Node:
        if name not in self._parameters:
            self._parameters[name] = self._store.register(name, tensor, trained=True)
        return self._graph.get_attr(self._parameters[name])

    def _fake_quantized(self, latent: Latent) -> fx.Node:
        weight = self._parameter(latent.name, _tensor(latent.array))
        scale = self._runtime(latent.scale)
        if (limits := weight_range(latent)) is None:
            return self._graph.call_function(quantized.fake_binarize, (weight, scale, latent.axis))
        return self._graph.call_function(quantized.fake_quantize, (weight, scale, *limits, latent.axis))


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array))


def _required(array: np.ndarray | None, value: onnx_ir.Value) -> np.ndarray:
    if array is None:
        raise GalenError("is read before it is computed", where=f"value {value.name}")
    return array


def _signature(function: Operator) -> dict[str, inspect.Parameter]:
    """Return a function's parameters; torch's own functions of the table have none by keyword."""
    try:
        return dict(inspect.signature(function).parameters)
    except ValueError:
        return {}


def _returns_list(function: Operator) -> bool:
    try:
        return bool(inspect.signature(function).return_annotation == list[Tensor])
    except ValueError:
        return False


def _identifier(name: str | None) -> str:
    return re.sub(r"\W", "_", name or "input")


def _where(node: onnx_ir.Node) -> str:
    return f"node {node.name or node.op_type}"
