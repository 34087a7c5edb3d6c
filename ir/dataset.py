"""Data sets as the user names them: an `.npz` file, `module:function`, or a folder of class folders of images."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir

from galen.ir.errors import GalenError
from galen.ir.images import ImageInput, fits, image_axes, input_shape, shape_text
from galen.ir.npz import read_npz
from galen.ir.samples import Batch
from galen.ir.user_code import FORM, load_function

_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


@dataclass(frozen=True)
class Dataset:
    """Samples that are made on demand, so that memory does not grow with their number.

    Attributes:
        read: returns the model's inputs for an array of sample numbers.
        labels: one integer per sample, or None.
        size: number of samples.
    """

    read: Callable[[np.ndarray], Mapping[str, np.ndarray]]
    labels: np.ndarray | None
    size: int

    def __len__(self) -> int:
        return self.size

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all samples in order, `size` at a time."""
        for start in range(0, self.size, size):
            yield self.at(np.arange(start, min(start + size, self.size)))

    def take(self, count: int) -> "Dataset":
        """Return the first `count` samples (all of them when there are fewer)."""
        return dataclasses.replace(self, size=min(count, self.size))

    def at(self, indices: np.ndarray) -> Batch:
        """Return the samples of these positions, in this order."""
        return Batch(self.read(indices), None if self.labels is None else self.labels[indices])


def open_dataset(spec: str, model: onnx_ir.Model) -> Dataset:
    """Open a data set for the inputs of `model`.

    Args:
        spec: an `.npz` file (one array per model input, or uint8 `images`, NHWC or NHW, with optional `mean`, `std`
            and `raw`; optional `labels`), `module:function` (called without arguments, yields `(inputs, label)` per
            sample: an array, or arrays by input name; label None for none), or a folder of one folder of images per
            class (scaled to the input's height and width, divided by 255).

    Raises:
        GalenError: there is no such data or it does not fit; the message names the file and the array or input.
    """
    path = Path(spec)
    if path.is_dir():
        return _from_folder(path, model)
    if FORM.fullmatch(spec) and not path.exists():
        return _from_function(spec, model)
    return _from_npz(path, model)


def random_dataset(model: onnx_ir.Model, count: int, rng: np.random.Generator) -> Dataset:
    """Return `count` samples of standard normal noise (integers 0 and 1 for integer inputs) for the inputs of `model`.

    Raises:
        GalenError: an input has a free dimension other than the first.
    """
    arrays = {}
    for value in _inputs(model):
        shape = input_shape(value)
        if None in shape:
            raise GalenError(f"dimension {shape.index(None) + 1} is free", where=f"input {value.name}", hint="--shape")
        noise = rng.standard_normal((count, *(dim for dim in shape if dim is not None)))
        dtype = _dtype(value)
        arrays[_name(value)] = (noise > 0 if dtype.kind in "iub" else noise).astype(dtype)
    return _from_arrays(arrays, None, count)


def _from_arrays(arrays: Mapping[str, np.ndarray], labels: np.ndarray | None, size: int) -> Dataset:
    return Dataset(lambda indices: {name: array[indices] for name, array in arrays.items()}, labels, size)


def _from_npz(path: Path, model: onnx_ir.Model) -> Dataset:
    arrays = read_npz(path)
    labels = arrays.pop("labels", None)
    inputs = {_name(value): value for value in _inputs(model)}
    if "images" in arrays and "images" not in inputs:
        data = _from_images(arrays, labels, inputs, path)
    else:
        for name, value in inputs.items():
            if name not in arrays:
                found = ", ".join(sorted(arrays)) or "nothing"
                raise GalenError(f"no array for input {name!r}", where=str(path), hint=f"it holds {found}")
            _check_array(arrays[name], value, str(path))
        data = _from_arrays({name: arrays[name] for name in inputs}, labels, len(arrays[next(iter(inputs))]))
        for name in inputs:
            if len(arrays[name]) != len(data):
                raise GalenError(f"{len(arrays[name])} samples, others have {len(data)}", where=f"{path}: {name}")
    _check_labels(labels, len(data), str(path))
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
    convert = _image_input(arrays, axes, _dtype(value), images.shape, path).convert
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


def _from_function(spec: str, model: onnx_ir.Model) -> Dataset:
    """Call the function once and keep what it yields: a generator cannot be read in random order."""
    values = _inputs(model)
    columns: dict[str, list[np.ndarray]] = {_name(value): [] for value in values}
    labels: list[Any] = []
    for number, item in enumerate(_call(spec)):
        where = f"{spec}: sample {number}"
        if not isinstance(item, tuple) or len(item) != 2:
            raise GalenError("expected a pair (inputs, label)", where=where)
        inputs, label = item
        by_name = inputs if isinstance(inputs, Mapping) else {_name(values[0]): inputs}
        for value in values:
            if _name(value) not in by_name:
                raise GalenError(f"no array for input {value.name!r}", where=where)
            columns[_name(value)].append(_sample(by_name[_name(value)], value, where))
        labels.append(label)
    if not labels:
        raise GalenError("yielded no samples", where=spec)
    if any(label is None for label in labels) and not all(label is None for label in labels):
        raise GalenError("some samples have labels and some have none", where=spec)
    array = None if labels[0] is None else np.asarray(labels)
    _check_labels(array, len(labels), spec)
    return _from_arrays({name: np.stack(column) for name, column in columns.items()}, array, len(labels))


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
    _check_array(sample[None], value, where)
    return sample


def _from_folder(folder: Path, model: onnx_ir.Model) -> Dataset:
    classes = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    files = [
        (file, label)
        for label, entry in enumerate(classes)
        for file in sorted(entry.iterdir())
        if file.suffix.lower() in _IMAGE_SUFFIXES
    ]
    if not files:
        raise GalenError("no folders of images in it", where=str(folder), hint="expected FOLDER/CLASS/IMAGE.png")
    values = _inputs(model)
    if len(values) != 1:
        raise GalenError(f"the model has {len(values)} inputs, images are one", where=str(folder))
    load = _image_loader(values[0], folder)
    name, paths = _name(values[0]), [file for file, _ in files]
    labels = np.array([label for _, label in files])
    return Dataset(lambda indices: {name: load([paths[i] for i in indices])}, labels, len(files))


def _image_loader(value: onnx_ir.Value, folder: Path) -> Callable[[list[Path]], np.ndarray]:
    expected = input_shape(value)
    if len(expected) == 2:
        expected = (1, *expected)
    if len(expected) != 3 or None in expected:
        raise GalenError("needs a fixed height, width and channels", where=f"input {value.name}", hint="--shape")
    first, middle, last = (dim for dim in expected if dim is not None)
    channels, height, width = (first, middle, last) if first in (1, 3) else (last, first, middle)
    if channels not in (1, 3):
        raise GalenError(f"{channels} channels are neither grey nor RGB", where=f"input {value.name}")
    axes = image_axes(value, (height, width, channels), str(folder))
    image_input = ImageInput(axes, _dtype(value), np.zeros(1, np.float32), np.ones(1, np.float32))
    if image_input.dtype.kind != "f":
        raise GalenError(f"the input is {image_input.dtype}, images / 255 are fractions", where=str(folder))
    mode = "RGB" if channels == 3 else "L"
    return lambda paths: image_input.convert(np.stack([_decode(path, mode, (width, height)) for path in paths]))


def _decode(path: Path, mode: str, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image, ImageOps  # noqa: PLC0415

    try:
        with Image.open(path) as image:
            pixels = np.asarray(ImageOps.fit(image.convert(mode), size))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise GalenError("not an image, or a damaged one", where=str(path)) from error
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _check_array(array: np.ndarray, value: onnx_ir.Value, where: str) -> None:
    expected = input_shape(value)
    where = f"{where}: {value.name}"
    if array.dtype != _dtype(value):
        raise GalenError(f"is {array.dtype}, the model's input is {_dtype(value)}", where=where)
    if array.ndim == 0 or not fits(array.shape[1:], expected):
        found = "x".join(map(str, array.shape)) or "a scalar"
        raise GalenError(f"has shape {found}, the model's input is {shape_text(expected)}", where=where)
    if len(array) == 0:
        raise GalenError("holds no samples", where=where)


def _check_labels(labels: np.ndarray | None, count: int, where: str) -> None:
    if labels is None:
        return
    where = f"{where}: labels"
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise GalenError(f"expected integers, one per sample, found {labels.dtype} {list(labels.shape)}", where=where)
    if len(labels) != count:
        raise GalenError(f"{len(labels)} labels for {count} samples", where=where)
    if labels.min() < 0:
        raise GalenError(f"label {labels.min()} is negative", where=where)


def _inputs(model: onnx_ir.Model) -> list[onnx_ir.Value]:
    """Return the inputs that a caller must feed: those without a default."""
    values = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    if not values:
        raise GalenError("the model has no inputs", where=model.graph.name or "model")
    return values


def _name(value: onnx_ir.Value) -> str:
    if value.name is None:
        raise GalenError("an input of the model has no name")
    return value.name


def _dtype(value: onnx_ir.Value) -> np.dtype:
    if value.dtype is None or value.dtype == onnx_ir.DataType.STRING:
        raise GalenError("is not of numbers", where=f"input {value.name}")
    return value.dtype.numpy()
