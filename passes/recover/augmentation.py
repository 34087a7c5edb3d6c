"""Random crops and flips of image batches."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_MARGIN = 8
"""Images are shifted by up to an eighth of their size, as is the custom for CIFAR-10 (4 of 32 pixels)."""


def crop_and_flip(x: "Tensor", generator: "torch.Generator") -> "Tensor":
    """Shift every image by its own random offset, zeros moving in, and mirror half of them.

    Args:
        x: `[n, channels, height, width]`, or `[n, height, width, channels]` where the last axis is 1 to 4 long.
        generator: the source of the offsets.
    """
    import torch  # noqa: PLC0415

    if x.shape[1] > 4 >= x.shape[3]:
        return crop_and_flip(x.permute(0, 3, 1, 2), generator).permute(0, 2, 3, 1)
    n, _, height, width = x.shape
    dy, dx = height // _MARGIN, width // _MARGIN
    padded = torch.nn.functional.pad(x, (dx, dx, dy, dy))
    rows = torch.randint(0, 2 * dy + 1, (n, 1), generator=generator) + torch.arange(height)
    columns = torch.randint(0, 2 * dx + 1, (n, 1), generator=generator) + torch.arange(width)
    mirrored = torch.rand(n, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    return padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
