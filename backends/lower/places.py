"""Where a value is: a buffer, and how it lies in it."""

from dataclasses import dataclass

from galen.backends.kernels.base import Image, Slice, Spec

Layout = Image | Spec


@dataclass(frozen=True)
class Place:
    """A buffer that holds a value, and how."""

    buffer: int
    layout: Layout


@dataclass(frozen=True)
class ImagePlace(Place):
    """A buffer that holds a value as an image."""

    layout: Image


def contiguous(image: Image) -> bool:
    """Return whether the image's memory is that of the dense NCHW tensor."""
    if isinstance(image, Slice):
        return False
    return image.border == 0 and image.channels == image.c and (image.h * image.w == 1 or image.c == 1)
