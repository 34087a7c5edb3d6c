"""What other engines cost under the same emulated core: an arm64 Python runs them once and twice."""

from collections.abc import Sequence
from pathlib import Path

from arm64_root import environment, python

from galen.backends.emulator.clock import Clock
from galen.backends.emulator.process import emulate
from galen.backends.target import Target

ORT = ("onnxruntime==1.20.1", "numpy==2.2.6", "flatbuffers", "protobuf", "packaging", "coloredlogs", "humanfriendly")
HERE = Path(__file__).parent

Cost = tuple[float, float]
"""Instructions and modelled milliseconds of one inference."""


def onnxruntime_cost(model: Path, core: Target, root: Path) -> Cost:
    """Return what one inference of an ONNX file costs in ONNX Runtime."""
    return cost_of([HERE / "ort_guest.py", model], core, root)


def ncnn_cost(network: Path, side: int, core: Target, root: Path) -> Cost:
    """Return what one inference of a `.param` file costs in ncnn, for square images."""
    return cost_of([HERE / "ncnn_network.py", network, f"{side}x{side}x3"], core, root)


def cost_of(command: Sequence[object], core: Target, root: Path) -> Cost:
    """Return what the second of two inferences costs."""
    start = [python(root), "-S", *map(str, command)]
    once, twice = (emulate(core, [*start, str(n)], environment(root), root) for n in (1, 2))
    if once.status or twice.status:
        raise SystemExit(f"{command[0]} failed")
    profile = twice.minus(once).profile(core)
    return profile.instructions, Clock(core).cycles(profile) / core.frequency_hz * 1e3
