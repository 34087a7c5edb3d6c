"""Data sets that a user's function yields."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx_ir

from galen.ir.data.dataset import Dataset, from_arrays
from galen.ir.data.inputs import check_array, check_labels, fed_inputs, input_shape, name_of
from galen.ir.errors import GalenError
from galen.ir.user_code import load_function


def from_function(spec: str, model: onnx_ir.Model) -> Dataset:
    """Call the function once and keep what it yields: a generator cannot be read in random order.

    Args:
        spec: `module:function`; the function yields `(inputs, label)`.
        model: what the samples are for.

    Raises:
        GalenError: there is no such function, or a sample does not fit; the message numbers it.
    """
    values = fed_inputs(model)
    columns: dict[str, list[np.ndarray]] = {name_of(value): [] for value in values}
    labels: list[Any] = []
    for number, item in enumerate(_call(spec)):
        where = f"{spec}: sample {number}"
        if not isinstance(item, tuple) or len(item) != 2:
            raise GalenError("expected a pair (inputs, label)", where=where)
        inputs, label = item
        by_name = inputs if isinstance(inputs, Mapping) else {name_of(values[0]): inputs}
        for value in values:
            if name_of(value) not in by_name:
                raise GalenError(f"no array for input {value.name!r}", where=where)
            columns[name_of(value)].append(_sample(by_name[name_of(value)], value, where))
        labels.append(label)
    if not labels:
        raise GalenError("yielded no samples", where=spec)
    if any(label is None for label in labels) and not all(label is None for label in labels):
        raise GalenError("some samples have labels and some have none", where=spec)
    array = None if labels[0] is None else np.asarray(labels)
    check_labels(array, len(labels), spec)
    return from_arrays({name: np.stack(column) for name, column in columns.items()}, array, len(labels))


def _call(spec: str) -> Iterable[Any]:
    samples = load_function(spec)()
    if not isinstance(samples, Iterable):
        raise GalenError("does not yield samples", where=spec)
    return samples


def _sample(array: Any, value: onnx_ir.Value, where: str) -> np.ndarray:
    """Return one sample without its sample axis, which the user may have left on with length 1."""
    sample = np.asarray(array)
    if sample.ndim == len(input_shape(value)) + 1 and sample.shape[0] == 1:
        sample = sample[0]
    check_array(sample[None], value, where)
    return sample
