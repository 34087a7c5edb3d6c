"""What a kernel is: a frozen dataclass whose fields, with the target, determine its code completely.

Because nothing else does, a kernel is compiled once, cached under `symbol`, timed once, and linked into any network.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from galen.backends.target import Target

if TYPE_CHECKING:
    from tvm.tirx import PrimFunc


@dataclass(frozen=True)
class Spec:
    """Shape and type of one dense buffer."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def memory(self) -> "Spec":
        """The buffer of which this describes all, or a part."""
        return self


@dataclass(frozen=True)
class Part(Spec):
    """`count` elements from `first` on along the last axis of a buffer that has this shape."""

    first: int
    count: int

    @property
    def memory(self) -> Spec:
        """The whole buffer."""
        return Spec(self.shape, self.dtype)


@dataclass(frozen=True)
class Places(Spec):
    """Numbers of places along an axis of `extent` elements."""

    extent: int

    @property
    def memory(self) -> Spec:
        """The buffer, whatever its numbers mean."""
        return Spec(self.shape, self.dtype)


@dataclass(frozen=True)
class Image:
    """An activation in memory: NHWC with a border of `border` rows and columns on every side, channels padded.

    The border holds the value that stands for zero (0, or the zero point), and so do the padding channels of integer
    images; those of fp32 images hold anything. Whoever writes an image writes both, so that convolutions read over the
    edge without a test.
    """

    n: int
    h: int
    w: int
    c: int
    border: int = 0
    lanes: int = 4
    dtype: str = "float32"

    @property
    def channels(self) -> int:
        """Channels in memory: `c` rounded up to a multiple of `lanes`."""
        return -(-self.c // self.lanes) * self.lanes

    @property
    def spec(self) -> Spec:
        """The buffer that holds it."""
        return Spec((self.n, self.h + 2 * self.border, self.w + 2 * self.border, self.channels), self.dtype)

    def interior(self, memory: np.ndarray) -> np.ndarray:
        """Return the pixels `[n, h, w, c]` of the buffer `memory`, without border and padding channels (a view)."""
        b = self.border
        return memory[:, b : b + self.h, b : b + self.w, : self.c]

    def place(self, pixels: np.ndarray, zero: float = 0) -> np.ndarray:
        """Return a buffer that holds `pixels` `[n, h, w, c]`, and `zero` in its border and padding channels."""
        memory = np.full(self.spec.shape, zero, self.dtype)
        self.interior(memory)[...] = pixels
        return memory

    def slice(self, first: int, c: int) -> "Slice":
        """Return the image of the channels from `first` on, where it lies."""
        return Slice(self.n, self.h, self.w, c, self.border, self.lanes, self.dtype, first, self.channels)


@dataclass(frozen=True)
class Slice(Image):
    """Neighbouring channels of a wider image, whole vectors of them. Its border, if any, was written with that image.

    Attributes:
        first: channel of the wider image.
        of: channels of the wider image in memory.
    """

    first: int = 0
    of: int = 0

    @property
    def spec(self) -> Spec:
        """The buffer that holds the wider image, and what of it this is."""
        whole = (self.n, self.h + 2 * self.border, self.w + 2 * self.border, self.of)
        return Part(whole, self.dtype, self.first, self.channels)

    def interior(self, memory: np.ndarray) -> np.ndarray:
        """Return the pixels of these channels of the buffer `memory` of the wider image (a view)."""
        return super().interior(memory[..., self.first : self.first + self.channels])

    def slice(self, first: int, c: int) -> "Slice":
        """Return the image of some of the channels."""
        return replace(self, c=c, first=self.first + first)


class Kernel(ABC):
    """One operator at one shape, with everything element-wise after it fused in. Subclasses are frozen dataclasses."""

    family: ClassVar[str] = ""
    """Short name, e.g. `winograd-4x4`, `direct`, `fallback`."""

    @property
    def label(self) -> str:
        """What `galen measure --per-layer` shows: the family, behind `fp16-` where it reads that."""
        return f"fp16-{self.family}" if self.args[0].dtype == "float16" else self.family

    @property
    @abstractmethod
    def args(self) -> tuple[Spec, ...]:
        """Arguments in order: activations, packed constants, then outputs."""

    @property
    def outputs(self) -> int:
        """How many of the last arguments are written."""
        return 1

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-accumulates of the operator as the network defines it, whatever the algorithm."""

    @abstractmethod
    def tir(self, target: Target) -> "PrimFunc":
        """Return the scheduled function for `target`, one buffer parameter per entry of `args`."""

    @abstractmethod
    def reference(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Compute the outputs in numpy from the inputs (`args` without the outputs): the meaning of the kernel."""

    def symbol(self, target: Target) -> str:
        """Return the name of the compiled function: a digest of the kernel, its generator, the target and TVM."""
        text = f"{type(self).__qualname__}|{self!r}|{_sources()}|{target.codegen}|{_tvm_version()}"
        return "k_" + hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def _sources() -> str:
    """Digest of the kernel generators, so that a change of theirs never meets an old object in the cache."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _tvm_version() -> str:
    from importlib.metadata import version  # noqa: PLC0415

    return version("apache-tvm")
