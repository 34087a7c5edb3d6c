"""Models exported for one sample, run on many at once: in onnxruntime as in torch."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir

from galen.ir import shapes
from galen.ir.edit import Names, const_value, new_initializer
from galen.ir.errors import GalenError
from galen.ir.execute import one_line, runtime_errors, session
from galen.ir.samples import Batch

if TYPE_CHECKING:
    import onnxruntime

SYMBOL = "samples"


def free_batch(model: onnx_ir.Model) -> bool:
    """Make the first dimension of every input symbolic, in place, and free the Reshapes that spell it out.

    The result computes the same on a batch of the old size. On other sizes it is right unless the model mixes samples
    or moves the batch in a way that a Reshape's text does not tell; `BatchedModel` checks by running.

    Returns:
        whether anything was static.
    """
    fed = [value for value in model.graph.inputs if value.name not in model.graph.initializers and value.shape]
    static = {value.shape[0] for value in fed if value.shape is not None and isinstance(value.shape[0], int)}
    if not static:
        return False
    _free_reshapes(model, static)
    for value in fed:
        if value.shape is not None:
            value.shape = onnx_ir.Shape([SYMBOL, *value.shape[1:]])
    for node in model.graph:
        for output in node.outputs:
            output.shape = None
    return True


def _free_reshapes(model: onnx_ir.Model, batch: set[int]) -> None:
    names = Names(model)
    inferred = False
    for node in list(model.graph):
        if node.op_type != "Reshape" or node.domain or len(node.inputs) < 2:
            continue
        target = const_value(node.inputs[1])
        if target is None or target.size == 0 or 0 in target:
            continue
        freed = target.copy()
        if -1 not in target:
            freed[0] = -1
        elif target[0] in batch:
            if not inferred:
                shapes.infer(model)
                inferred = True
            known = node.inputs[0].shape if node.inputs[0] is not None else None
            freed[0] = 0 if known is not None and known[0] == target[0] else target[0]
        if not np.array_equal(freed, target):
            node.replace_input_with(1, new_initializer(model.graph, freed, names.fresh("batched_shape")))


class BatchedModel:
    """A model that runs on any number of samples at once, in onnxruntime with integer operators fused.

    A model whose batch is static is rewritten; when the rewritten model does not give every sample its own result, it
    is run as it was written: sample by sample, or as many at once as its inputs say.

    Args:
        outputs: names of the values to return; the model's outputs by default.
        threads: within an operator, 0: as onnxruntime likes; by default as many as this process has processors.
    """

    def __init__(
        self, model: onnx_ir.Model, outputs: Sequence[str] | None = None, *, threads: int | None = None
    ) -> None:
        single = model.clone()
        self._rows = _rows(single)
        if outputs is not None:
            _expose(single, outputs)
        self._names = [str(value.name) for value in single.graph.outputs]
        self._threads = _confined() if threads is None else threads
        self._single = session(single, threads=self._threads)
        batched = single.clone()
        self._pending = batched if free_batch(batched) else None
        self._many = None if self._pending is not None else self._single

    def __call__(self, batch: Batch) -> dict[str, np.ndarray]:
        """Return every output for the samples of `batch`, first axis: sample.

        Raises:
            GalenError: onnxruntime cannot run the model.
        """
        inputs = dict(batch.inputs)
        if self._pending is not None and self._runs(inputs) > 1:
            pending, self._pending = self._pending, None
            self._many = self._checked(pending, inputs)
        if self._many is None:
            return self._as_written(inputs)
        return self._run(self._many, inputs)

    def _run(self, running: "onnxruntime.InferenceSession", inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return dict(zip(self._names, running.run(self._names, dict(inputs)), strict=True))
        except runtime_errors() as error:
            raise GalenError(f"onnxruntime cannot run the model: {one_line(error)}") from error

    def _runs(self, inputs: Mapping[str, np.ndarray]) -> int:
        """Return how often the model has to run as it was written."""
        name, array = next(iter(inputs.items()))
        return -(-len(array) // self._rows[name])

    def _as_written(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        results = [self._run(self._single, self._part(inputs, i)) for i in range(self._runs(inputs))]
        joined = {name: np.concatenate([result[name] for result in results]) for name in self._names}
        name, array = next(iter(inputs.items()))
        surplus = self._runs(inputs) * self._rows[name] - len(array)
        return {name: array[: len(array) - surplus] for name, array in joined.items()} if surplus else joined

    def _part(self, inputs: Mapping[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
        """Return the inputs of one run; a last one that is not full repeats its last sample."""
        places = {name: number * rows + np.arange(rows) for name, rows in self._rows.items() if name in inputs}
        return {name: inputs[name][at.clip(max=len(inputs[name]) - 1)] for name, at in places.items()}

    def _checked(
        self, batched: onnx_ir.Model, inputs: Mapping[str, np.ndarray]
    ) -> "onnxruntime.InferenceSession | None":
        """Return a session of the rewritten model if two runs at once give what each gives alone, else None."""
        pair = {name: array[: 2 * self._rows[name]] for name, array in inputs.items()}
        try:
            candidate = session(batched, threads=self._threads)
            together = self._run(candidate, pair)
        except GalenError:
            return None
        alone = self._as_written(pair)
        same = all(_close(together[name], alone[name]) for name in self._names)
        return candidate if same else None


def _rows(model: onnx_ir.Model) -> dict[str, int]:
    """Return how many rows of every input one run takes: 1 where the model leaves that open."""
    shapes = {str(value.name): value.shape for value in model.graph.inputs}
    return {name: dims[0] if dims and isinstance(dims[0], int) else 1 for name, dims in shapes.items()}


def _confined() -> int:
    """Return how many processors this process is confined to; 0: it has all, as onnxruntime takes for granted."""
    own = len(os.sched_getaffinity(0))
    return own if own < (os.cpu_count() or own) else 0


def _close(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Compare up to the rounding of another summation order, and up to the few integers it may turn."""
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return False
    if actual.dtype.kind != "f":
        return float(np.mean(actual != expected)) < 0.01
    scale = float(np.abs(expected).max(initial=1e-6))
    return bool(np.mean(np.abs(actual - expected) > 1e-3 * scale) < 0.01)


def _expose(model: onnx_ir.Model, names: Sequence[str]) -> None:
    values = onnx_ir.convenience.create_value_mapping(model.graph)
    model.graph.outputs.clear()
    model.graph.outputs.extend(values[name] for name in names)
