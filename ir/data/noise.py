"""Data sets of noise, where ranges are wanted and there are no samples."""

import numpy as np
import onnx_ir

from galen.ir.data.dataset import Dataset
from galen.ir.data.inputs import dtype_of, fed_inputs, input_shape, name_of
from galen.ir.errors import GalenError


def random_dataset(model: onnx_ir.Model, count: int, rng: np.random.Generator) -> Dataset:
    """Return `count` samples of standard normal noise (integers 0 and 1 for integer inputs) for the inputs of `model`.

    Inputs whose first dimensions are fixed and differ have no axis of samples in common: a sample is then what one run
    takes, of every input as many rows as it says.

    Raises:
        GalenError: an input has a free dimension other than the first.
    """
    values = fed_inputs(model)
    first = {name_of(value): _rows(value) for value in values}
    rows = first if len(set(first.values())) > 1 else dict.fromkeys(first, 1)
    arrays = {name_of(value): _noise(value, (count, rows[name_of(value)]), rng) for value in values}
    return Dataset(
        lambda indices: {name: np.concatenate(array[indices]) for name, array in arrays.items()}, None, count
    )


def _rows(value: onnx_ir.Value) -> int:
    first = value.shape[0] if value.shape else None
    return first if isinstance(first, int) else 1


def _noise(value: onnx_ir.Value, leading: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    shape = input_shape(value)
    if None in shape:
        raise GalenError(f"dimension {shape.index(None) + 1} is free", where=f"input {value.name}", hint="--shape")
    noise = rng.standard_normal((*leading, *(dim for dim in shape if dim is not None)))
    dtype = dtype_of(value)
    return np.asarray(noise > 0 if dtype.kind in "iub" else noise).astype(dtype)
