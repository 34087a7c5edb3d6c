"""A lowered network: buffers, constants and a straight list of kernel calls. What is built, linked, run and timed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from galen.backends.kernels.base import Kernel, Spec
from galen.backends.target import Target


@dataclass(frozen=True)
class Call:
    """One kernel applied to buffers.

    Attributes:
        args: indices into `Program.buffers`, in the order of `kernel.args`.
        layer: name of the graph node that the kernel computes; the main one where several are fused.
        op: that node's operator type.
    """

    kernel: Kernel
    args: tuple[int, ...]
    layer: str
    op: str


@dataclass(frozen=True)
class Program:
    """A network as calls in execution order.

    Attributes:
        constants: packed weights by buffer index.
        inputs, outputs: buffer index of every input and output of the model, by name, in the model's own layout.
        views: buffers that are another one's memory under another shape, by the index of that other one.
    """

    target: Target
    buffers: tuple[Spec, ...]
    constants: Mapping[int, np.ndarray]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    calls: tuple[Call, ...]
    views: Mapping[int, int] = field(default_factory=dict)

    def memory(self, buffer: int) -> int:
        """Return the buffer whose memory `buffer` is: itself unless it is a view."""
        while buffer in self.views:
            buffer = self.views[buffer]
        return buffer
