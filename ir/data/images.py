"""Pixels to model input: `(image / 255 - mean) / std`, cast and transposed to the input's type and layout."""

from dataclasses import dataclass

import numpy as np
import onnx_ir

from galen.ir.data.inputs import fits, input_shape, shape_text
from galen.ir.errors import GalenError

NCHW, NHWC, NHW = (0, 3, 1, 2), (0, 1, 2, 3), (0, 1, 2)


@dataclass(frozen=True)
class ImageInput:
    """How uint8 images become one input of a model.

    Attributes:
        axes: transposition from NHWC (or NHW) to the input's layout.
        mean, std: per channel or scalar, on the scale 0..1; None keeps the raw 0..255.
    """

    axes: tuple[int, ...]
    dtype: np.dtype
    mean: np.ndarray | None
    std: np.ndarray | None

    def convert(self, images: np.ndarray) -> np.ndarray:
        """Return the model input for uint8 `images`, NHWC or NHW."""
        if images.ndim < len(self.axes):
            images = images[..., None]
        elif images.ndim > len(self.axes):
            images = images[..., 0]
        if self.mean is not None and self.std is not None:
            images = (images.astype(np.float32) / np.float32(255) - self.mean) / self.std
        return np.ascontiguousarray(images.transpose(self.axes), dtype=self.dtype)


def image_axes(value: onnx_ir.Value, shape: tuple[int, ...], where: str) -> tuple[int, ...]:
    """Return the transposition that brings images into the layout of the input `value`; channels first where both fit.

    Args:
        shape: of one image, HWC or HW.
        where: what to name in the message.

    Raises:
        GalenError: neither layout fits.
    """
    expected = input_shape(value)
    height, width, channels = (*shape, 1)[:3]
    candidates: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        (NCHW, (channels, height, width)),
        (NHWC, (height, width, channels)),
    ]
    if channels == 1:
        candidates.append((NHW, (height, width)))
    for axes, candidate in candidates:
        if fits(candidate, expected):
            return axes
    raise GalenError(
        f"images of {'x'.join(map(str, shape))} do not fit input {value.name!r} of shape {shape_text(expected)}",
        where=where,
    )
