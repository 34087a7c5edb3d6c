"""The memory of a lowered network: buffers, constants, and views of either."""

from dataclasses import dataclass, field

import numpy as np

from galen.backends.constants import Make
from galen.backends.kernels.base import Spec


@dataclass(kw_only=True)
class Buffers:
    """Buffers by index; some are constant, some another one's memory under another shape."""

    buffers: list[Spec] = field(default_factory=list)
    constants: dict[int, Make] = field(default_factory=dict)
    views: dict[int, int] = field(default_factory=dict)

    def buffer(self, spec: Spec) -> int:
        """Add a buffer."""
        self.buffers.append(spec)
        return len(self.buffers) - 1

    def constant(self, array: np.ndarray) -> int:
        """Add a constant buffer."""
        return self.packed(Spec(array.shape, array.dtype.name), lambda: array)

    def packed(self, spec: Spec, make: Make) -> int:
        """Add a constant buffer that `make` fills when someone needs more than its shape."""
        index = self.buffer(spec)
        self.constants[index] = make
        return index

    def view(self, buffer: int, shape: tuple[int, ...]) -> int:
        """Return the same memory under another shape."""
        spec = Spec(shape, self.buffers[buffer].dtype)
        if spec == self.buffers[buffer]:
            return buffer
        if buffer in self.constants:
            make = self.constants[buffer]
            return self.packed(spec, lambda: make().reshape(shape))
        index = self.buffer(spec)
        self.views[index] = buffer
        return index
