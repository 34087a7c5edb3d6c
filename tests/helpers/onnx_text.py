"""Small models from ONNX text, and running them."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir
import onnxruntime

from galen.ir import Model
from galen.ir.io import from_proto


def model(text: str, **constants: np.ndarray) -> Model:
    """Return the model that ONNX text describes, with random values for the initializers it declares without one.

    Args:
        text: `g (float[1,3,8,8] x) => (float[1,4] y) <float[4,3] w> { ... }`, opset 21 unless it says otherwise.
        constants: values of initializers by name.
    """
    if not text.lstrip().startswith("<"):
        text = '<ir_version: 10, opset_import: ["" : 21]>\n' + text
    proto = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    declared = {value.name: value for value in proto.graph.value_info}
    given = {name: np.asarray(array) for name, array in constants.items()}
    for name, value in declared.items():
        if name not in given and name not in {output for node in proto.graph.node for output in node.output}:
            shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            given[name] = rng.standard_normal(shape).astype(np.float32)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in given.items())
    del proto.graph.value_info[:]
    for node in proto.graph.node:
        node.name = node.name or node.output[0]
    return from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True))


def run(model: Model, feeds: Mapping[str, np.ndarray] | None = None, seed: int = 0) -> list[np.ndarray]:
    """Return the outputs of a model for `feeds`, or for random inputs (3 where a dimension is free)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(onnx_ir.to_proto(model).SerializeToString(), options)
    rng = np.random.default_rng(seed)
    if feeds is None:
        feeds = {item.name: _random(item.shape, item.type, rng) for item in session.get_inputs()}
    return session.run(None, dict(feeds))


def _random(shape: list[int | str | None], kind: str, rng: np.random.Generator) -> np.ndarray:
    dims = [dim if isinstance(dim, int) else 3 for dim in shape]
    if "float" in kind:
        return rng.standard_normal(dims).astype(np.float32)
    return rng.integers(0, 8, dims).astype(
        {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": bool}.get(kind, np.int8)
    )


def difference(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """Return the largest relative difference of two lists of outputs; infinite where shapes differ."""
    if any(x.shape != y.shape for x, y in zip(a, b, strict=True)):
        return float("inf")
    pairs = [(x.astype(np.float64), y.astype(np.float64)) for x, y in zip(a, b, strict=True)]
    return max(float(np.abs(x - y).max(initial=0) / (np.abs(y).max(initial=0) + 1e-9)) for x, y in pairs)
