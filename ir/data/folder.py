"""Data sets in folders of images, one folder per class."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx_ir

from galen.ir.data.dataset import Dataset
from galen.ir.data.images import ImageInput, image_axes
from galen.ir.data.inputs import dtype_of, fed_inputs, input_shape, name_of
from galen.ir.errors import GalenError

_IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


def from_folder(folder: Path, model: onnx_ir.Model) -> Dataset:
    """Open FOLDER/CLASS/IMAGE: classes in the order of their names, images scaled to the input and divided by 255.

    Raises:
        GalenError: there are no such images, or the model takes none; a damaged image is found when it is read.
    """
    classes = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    files = [
        (file, label)
        for label, entry in enumerate(classes)
        for file in sorted(entry.iterdir())
        if file.suffix.lower() in _IMAGE_SUFFIXES
    ]
    if not files:
        raise GalenError("no folders of images in it", where=str(folder), hint="expected FOLDER/CLASS/IMAGE.png")
    values = fed_inputs(model)
    if len(values) != 1:
        raise GalenError(f"the model has {len(values)} inputs, images are one", where=str(folder))
    load = _image_loader(values[0], folder)
    name, paths = name_of(values[0]), [file for file, _ in files]
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
    image_input = ImageInput(axes, dtype_of(value), np.zeros(1, np.float32), np.ones(1, np.float32))
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
