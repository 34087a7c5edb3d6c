"""The inputs of a model, and whether samples fit them."""

import numpy as np
import onnx_ir

from galen.ir.errors import GalenError


def fed_inputs(model: onnx_ir.Model) -> list[onnx_ir.Value]:
    """Return the inputs that a caller must feed: those without a default."""
    values = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    if not values:
        raise GalenError("the model has no inputs", where=model.graph.name or "model")
    return values


def name_of(value: onnx_ir.Value) -> str:
    """Return the name under which an input is fed; GalenError where it has none."""
    if value.name is None:
        raise GalenError("an input of the model has no name")
    return value.name


def dtype_of(value: onnx_ir.Value) -> np.dtype:
    """Return the type of an input's numbers; GalenError where it takes none."""
    if value.dtype is None or value.dtype == onnx_ir.DataType.STRING:
        raise GalenError("is not of numbers", where=f"input {value.name}")
    return value.dtype.numpy()


def input_shape(value: onnx_ir.Value) -> tuple[int | None, ...]:
    """Return the shape of one sample of a model input, None where it is free; the first axis is that of the samples."""
    if value.shape is None:
        raise GalenError("has no shape", where=f"input {value.name}", hint="give one: --shape NAME=1x3x32x32")
    return tuple(dim if isinstance(dim, int) else None for dim in value.shape)[1:]


def fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """Return whether a shape agrees with another one that may be free in places."""
    return len(shape) == len(expected) and all(e in (None, s) for s, e in zip(shape, expected, strict=True))


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Return a sample's shape the way messages write it, `Nx3x?x?`."""
    return "x".join(["N", *("?" if dim is None else str(dim) for dim in shape)])


def check_array(array: np.ndarray, value: onnx_ir.Value, where: str) -> None:
    """Raise GalenError unless `array`, first axis: sample, has samples of the type and shape that an input takes.

    Args:
        array: the samples.
        value: the input.
        where: what to name in the message.
    """
    expected = input_shape(value)
    where = f"{where}: {value.name}"
    if array.dtype != dtype_of(value):
        raise GalenError(f"is {array.dtype}, the model's input is {dtype_of(value)}", where=where)
    if array.ndim == 0 or not fits(array.shape[1:], expected):
        found = "x".join(map(str, array.shape)) or "a scalar"
        raise GalenError(f"has shape {found}, the model's input is {shape_text(expected)}", where=where)
    if len(array) == 0:
        raise GalenError("holds no samples", where=where)


def check_labels(labels: np.ndarray | None, count: int, where: str) -> None:
    """Raise GalenError unless labels, where there are any, are one class number per sample."""
    if labels is None:
        return
    where = f"{where}: labels"
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise GalenError(f"expected integers, one per sample, found {labels.dtype} {list(labels.shape)}", where=where)
    if len(labels) != count:
        raise GalenError(f"{len(labels)} labels for {count} samples", where=where)
    if labels.min() < 0:
        raise GalenError(f"label {labels.min()} is negative", where=where)
