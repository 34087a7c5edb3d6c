"""Data sets in an `.npz` file: one array per model input, or images that become the only one."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx_ir

from galen.ir.data.archive import read_npz
from galen.ir.data.dataset import Dataset, from_arrays
from galen.ir.data.images import ImageInput, image_axes
from galen.ir.data.inputs import check_array, check_labels, dtype_of, fed_inputs, name_of
from galen.ir.errors import GalenError


def from_npz(path: Path, model: onnx_ir.Model) -> Dataset:
    """Open an `.npz` file; see `galen.ir.dataset.open_dataset` for the arrays that it may hold.

    Raises:
        GalenError: the file is damaged, or an array is missing or does not fit; the message names it.
    """
    arrays = read_npz(path)
    labels = arrays.pop("labels", None)
    inputs = {name_of(value): value for value in fed_inputs(model)}
    if "images" in arrays and "images" not in inputs:
        data = _from_images(arrays, labels, inputs, path)
    else:
        for name, value in inputs.items():
            if name not in arrays:
                found = ", ".join(sorted(arrays)) or "nothing"
                raise GalenError(f"no array for input {name!r}", where=str(path), hint=f"it holds {found}")
            check_array(arrays[name], value, str(path))
        data = from_arrays({name: arrays[name] for name in inputs}, labels, len(arrays[next(iter(inputs))]))
        for name in inputs:
            if len(arrays[name]) != len(data):
                raise GalenError(f"{len(arrays[name])} samples, others have {len(data)}", where=f"{path}: {name}")
    check_labels(labels, len(data), str(path))
    return data


def _from_images(
    arrays: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    inputs: Mapping[str, onnx_ir.Value],
    path: Path,
) -> Dataset:
    where = f"{path}: images"
    images = arrays["images"]
    if len(inputs) != 1:
        raise GalenError(f"the model has {len(inputs)} inputs", where=where, hint="one array per input, by name")
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) == 0:
        raise GalenError(f"expected uint8 NHWC or NHW, found {images.dtype} {list(images.shape)}", where=where)
    ((name, value),) = inputs.items()
    axes = image_axes(value, images.shape[1:], where)
    convert = _image_input(arrays, axes, dtype_of(value), images.shape, path).convert
    return Dataset(lambda indices: {name: convert(images[indices])}, labels, len(images))


def _image_input(
    arrays: Mapping[str, np.ndarray], axes: tuple[int, ...], dtype: np.dtype, shape: tuple[int, ...], path: Path
) -> ImageInput:
    raw = arrays.get("raw", np.bool_(False))
    if raw.dtype != np.bool_ or raw.size != 1:
        raise GalenError("expected one boolean", where=f"{path}: raw")
    if raw.item():
        if dtype.kind in "iu" and np.iinfo(dtype).max < 255:
            raise GalenError(f"0..255 does not fit the input's type {dtype}", where=f"{path}: images")
        return ImageInput(axes, dtype, None, None)
    if dtype.kind != "f":
        raise GalenError(f"the input is {dtype}, images / 255 are fractions", where=f"{path}: images", hint="raw=True")
    channels = shape[3] if len(shape) == 4 else 1
    scales = {"mean": np.zeros(1), "std": np.ones(1)} | {k: arrays[k] for k in ("mean", "std") if k in arrays}
    for key, scale in scales.items():
        if scale.dtype.kind not in "fiu" or scale.shape not in ((), (1,), (channels,)) or not np.isfinite(scale).all():
            raise GalenError(f"expected 1 or {channels} finite numbers", where=f"{path}: {key}")
    if not scales["std"].all():
        raise GalenError("is zero", where=f"{path}: std")
    return ImageInput(axes, dtype, scales["mean"].astype(np.float32), scales["std"].astype(np.float32))
