"""Data sets as the user names them: an `.npz` file, `module:function`, or a folder of class folders of images."""

from pathlib import Path

import onnx_ir

from galen.ir.data.dataset import Dataset
from galen.ir.data.folder import from_folder
from galen.ir.data.function import from_function
from galen.ir.data.noise import random_dataset
from galen.ir.data.packed import from_npz
from galen.ir.user_code import FORM

__all__ = ["Dataset", "open_dataset", "random_dataset"]


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
        return from_folder(path, model)
    if FORM.fullmatch(spec) and not path.exists():
        return from_function(spec, model)
    return from_npz(path, model)
