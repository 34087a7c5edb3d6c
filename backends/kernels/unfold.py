"""The slices of a volume that a convolution reads together, as channels of one image each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.kernels.base import Image, Kernel, Spec
from galen.backends.kernels.border import clear_border
from galen.backends.kernels.emit import Emitter, Expr, emit
from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Unfold(Kernel):
    """From the slices of volumes to images whose channels are those of `taps` slices, group by group.

    `sink[v, z][g, t, c] = source[v, z * stride + t * dilation - front][g, c]`, 0 outside; both count the slices of all
    volumes, `source.n / volumes` and `sink.n / volumes` in each.
    """

    source: Image
    sink: Image
    volumes: int
    taps: int
    stride: int = 1
    dilation: int = 1
    front: int = 0
    groups: int = 1
    family: ClassVar[str] = "unfold"
    macs: ClassVar[int] = 0

    @property
    def args(self) -> tuple[Spec, ...]:
        """Image, image."""
        return (self.source.spec, self.sink.spec)

    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Index the slices."""
        _, h, w, c = (pixels := self.source.interior(inputs[0])).shape
        depth, out = self.source.n // self.volumes, self.sink.n // self.volumes
        volumes = pixels.reshape(self.volumes, depth, h, w, self.groups, c // self.groups)
        result = np.zeros((self.volumes, out, h, w, self.groups, self.taps, c // self.groups), np.float32)
        for z in range(out):
            for t in range(self.taps):
                at = z * self.stride + t * self.dilation - self.front
                if 0 <= at < depth:
                    result[:, z, ..., t, :] = volumes[:, at]
        return [self.sink.place(result.reshape(self.sink.n, h, w, -1))]

    def tir(self, target: Target) -> "PrimFunc":
        """Return, for every slice of the sink and every tap, a loop over the pixels that copies vectors of channels."""
        out = self.sink.n // self.volumes
        with emit(self.args, target) as e:
            clear_border(e, self.sink, e.args[1])
            with e.loop(self.volumes) as v, e.loop(out) as z:
                for tap in range(self.taps):
                    self._slice(e, v, z, tap)
        return e.function

    def _slice(self, e: Emitter, v: Expr, z: Expr, tap: int) -> None:
        """Copy one slice, or zeros where there is none."""
        depth, out = self.source.n // self.volumes, self.sink.n // self.volumes
        at = z * self.stride + (tap * self.dilation - self.front)
        exists = e.all(at >= 0, at < depth) if self._crosses_edge else True
        with e.when(exists):
            self._pixels(e, v * out + z, v * depth + at, tap)
        if exists is not True:
            with e.when(e.T.Not(exists)):
                self._pixels(e, v * out + z, None, tap)

    def _pixels(self, e: Emitter, write: Expr, read: Expr | None, tap: int) -> None:
        """Write the channels of one tap at every pixel: those of the slice `read`, if there is one."""
        (source, sink), size = e.args, self.source.c // self.groups
        b, border = self.source.border, self.sink.border
        with e.loop(self.sink.h) as y, e.loop(self.sink.w) as x, e.loop(self.groups) as group:

            def copy(c: Expr, lanes: int) -> None:
                value = e.splat(0.0, lanes)
                if read is not None:
                    value = e.load(source, read, y + b, x + b, group * size + c, lanes=lanes)
                first = (group * self.taps + tap) * size
                e.store(sink, value, write, y + border, x + border, first + c, lanes=lanes)

            e.each_vector(size, copy)

    @property
    def _crosses_edge(self) -> bool:
        depth, out = self.source.n // self.volumes, self.sink.n // self.volumes
        return self.front > 0 or (out - 1) * self.stride + (self.taps - 1) * self.dilation - self.front >= depth
