"""Running a model in onnxruntime: the reference that every rewrite and every binary is held against."""

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir

from galen.ir.errors import GalenError
from galen.ir.io import save, to_proto
from galen.ir.large import total_bytes
from galen.ir.shapes import Shapes, input_shapes, static_shape

if TYPE_CHECKING:
    import onnxruntime

Arrays = Mapping[str, np.ndarray]

_IN_MEMORY = 2**29
"""Models of fewer bytes are handed to onnxruntime in memory."""


def session(model: onnx_ir.Model, *, threads: int = 1, optimize: bool = True) -> "onnxruntime.InferenceSession":
    """Return an onnxruntime session for `model`.

    Args:
        model: the model; one of over 2 GB goes through a temporary file.
        threads: threads within an operator.
        optimize: let onnxruntime fuse and reorder. Off, it computes the graph as written.

    Raises:
        GalenError: onnxruntime cannot load the model.
    """
    import onnxruntime as ort  # noqa: PLC0415

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.qdqisint8allowed", "1")  # else x86 runs int8 pairs in float
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    with tempfile.TemporaryDirectory(prefix="galen-") as folder:
        try:
            return ort.InferenceSession(_loadable(model, Path(folder)), options, providers=["CPUExecutionProvider"])
        except runtime_errors() as error:
            raise GalenError(f"onnxruntime cannot load the model: {one_line(error)}") from error


def run(model: onnx_ir.Model, inputs: Arrays, *, optimize: bool = True) -> dict[str, np.ndarray]:
    """Run `model` once and return its outputs by name. For many runs keep a `session`.

    Raises:
        GalenError: onnxruntime cannot load or run the model.
    """
    running = session(model, optimize=optimize)
    names = [output.name for output in running.get_outputs()]
    try:
        return dict(zip(names, running.run(names, dict(inputs)), strict=True))
    except runtime_errors() as error:
        raise GalenError(f"onnxruntime cannot run the model: {one_line(error)}") from error


def observe(model: onnx_ir.Model, values: Iterable[onnx_ir.Value]) -> None:
    """Write down the shapes of those `values` whose shape inference left open, by running the model once.

    Values in subgraphs are left alone. The inputs must be pinned (`shapes.pin`).

    Raises:
        GalenError: see `run`.
    """
    unknown = [v for v in values if v.graph is model.graph and v.producer() and static_shape(v) is None]
    if not unknown:
        return
    probe = model.clone()
    wanted = {value.name for value in unknown} - {value.name for value in probe.graph.outputs}
    probe.graph.outputs.extend(v for node in probe.graph for v in node.outputs if v.name in wanted)
    results = run(probe, random_inputs(probe, np.random.default_rng(0)))
    for value in unknown:
        value.shape = onnx_ir.Shape(results[str(value.name)].shape)


def reference(
    node: onnx_ir.Node, operands: Sequence[np.ndarray | None], opsets: Mapping[str, int]
) -> list[np.ndarray] | None:
    """Compute one node with ONNX's own reference implementation; None where it has no answer."""
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

    names = [value.name if value is not None else None for value in node.inputs]
    feeds = {name: array for name, array in zip(names, operands, strict=True) if name and array is not None}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = ReferenceEvaluator(onnx_ir.to_proto(node), opsets=dict(opsets)).run(None, feeds)
    except Exception:  # a boundary: the reference is incomplete and fails in many ways
        return None
    if not all(isinstance(result, np.ndarray | np.generic) for result in results):
        return None
    return [np.asarray(result) for result in results]


def random_inputs(
    model: onnx_ir.Model, rng: np.random.Generator, shapes: Shapes | None = None
) -> dict[str, np.ndarray]:
    """Return normal floats, small non-negative integers and booleans for every input that has to be fed.

    Raises:
        GalenError: a dimension is unset (see `shapes.input_shapes`) or an input has a type that cannot be made up.
    """
    return {name: random_array(shape, _dtype(model, name), rng) for name, shape in input_shapes(model, shapes).items()}


def random_array(shape: Sequence[int], dtype: onnx_ir.DataType, rng: np.random.Generator) -> np.ndarray:
    """Return one random array, see `random_inputs`."""
    if dtype == onnx_ir.DataType.STRING:
        return np.full(shape, "a", dtype=object)
    if dtype == onnx_ir.DataType.BOOL:
        return np.asarray(rng.random(shape) < 0.5)  # a shape of () would give a bare number
    if dtype.is_floating_point():
        return np.asarray(rng.standard_normal(shape), dtype.numpy())
    return np.asarray(rng.integers(0, 3, shape), dtype.numpy())


def one_line(error: BaseException) -> str:
    """Return an error's message as one short line."""
    return " ".join(str(error).split())[:300]


def _dtype(model: onnx_ir.Model, name: str) -> onnx_ir.DataType:
    dtype = next(value.dtype for value in model.graph.inputs if value.name == name)
    if dtype is None or dtype == onnx_ir.DataType.UNDEFINED:
        raise GalenError("has no type", where=f"input {name}")
    return dtype


def _loadable(model: onnx_ir.Model, folder: Path) -> bytes | str:
    """Return the model's bytes, or, where they would be many, a file in `folder` with external data beside it."""
    if total_bytes(model) < _IN_MEMORY:
        data: bytes = to_proto(model).SerializeToString()
        return data
    path = folder / "model.onnx"
    save(model, path, external=True)
    return str(path)


def runtime_errors() -> tuple[type[Exception], ...]:
    """Return everything that onnxruntime raises about a model or its inputs: its exceptions have no common base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415

    named = [getattr(state, name) for name in dir(state) if isinstance(getattr(state, name), type)]
    return (*(kind for kind in named if issubclass(kind, Exception)), RuntimeError, ValueError)
