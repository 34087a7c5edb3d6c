"""The sliding window that convolutions and poolings share."""

from dataclasses import dataclass

import numpy as np

from galen.backends.kernels.base import Image


@dataclass(frozen=True)
class Window:
    """Taps (`kh` x `kw`), strides, dilations and the padding above and left; what is missing below follows."""

    kh: int
    kw: int
    sy: int = 1
    sx: int = 1
    dy: int = 1
    dx: int = 1
    top: int = 0
    left: int = 0

    @property
    def pointwise(self) -> bool:
        """Whether every output reads exactly the input at its own place."""
        return (self.kh, self.kw, self.sy, self.sx, self.top, self.left) == (1, 1, 1, 1, 0, 0)

    def border(self, source: tuple[int, int], sink: tuple[int, int]) -> int:
        """Return the border that an input of `source` rows and columns needs for an output of `sink`."""
        bottom = (sink[0] - 1) * self.sy + (self.kh - 1) * self.dy + 1 - self.top - source[0]
        right = (sink[1] - 1) * self.sx + (self.kw - 1) * self.dx + 1 - self.left - source[1]
        return max(self.top, self.left, bottom, right, 0)

    def taps(self, source: Image, sink: Image, memory: np.ndarray) -> np.ndarray:
        """Return a view `[n, h, w, kh, kw, c]` of the inputs that every output reads, from the buffer `memory`."""
        y, x = source.border - self.top, source.border - self.left
        start = memory[:, y:, x:, : source.c]
        sn, sh, sw, sc = start.strides
        shape = (source.n, sink.h, sink.w, self.kh, self.kw, source.c)
        strides = (sn, sh * self.sy, sw * self.sx, sh * self.dy, sw * self.dx, sc)
        return np.lib.stride_tricks.as_strided(start, shape, strides, writeable=False)
