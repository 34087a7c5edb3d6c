"""From a model to a library that runs on a target: the one call that the rest of Galen needs.

artifact = compile(model, find("cortex-a72"), Path("net.so"))
outputs = artifact.run({"x": x})
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from galen.backends.execution import is_native, run_on_core, run_on_host
from galen.backends.link import link
from galen.backends.lower import lower
from galen.backends.objects import objects
from galen.backends.program import Program
from galen.backends.target import Target
from galen.ir import Model
from galen.ir.shapes import Shapes

__all__ = ["Artifact", "compile", "link", "lower", "objects"]


@dataclass(frozen=True)
class Artifact:
    """A compiled model: the library at `path` and the program that it was linked from."""

    path: Path
    program: Program

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the model's outputs by name: from the library itself on the host, from an emulated core for ARM.

        Raises:
            GalenError: an input is missing, or does not fit.
        """
        if not is_native(self.program.target):
            return run_on_core(self.program, inputs)
        return run_on_host(self.program, self.path, inputs)


def compile(model: Model, target: Target, path: Path, shapes: Shapes | None = None) -> Artifact:  # noqa: A001
    """Lower, build and link `model` for `target` into a shared library at `path`.

    Raises:
        GalenError: see `lower` and `link`.
    """
    program = lower(model, target, shapes)
    return Artifact(link(program, Path(path)), program)
