"""What the journal says of a search besides its episodes, for the report and for whoever looks later."""

import platform
import shlex
import sys
from dataclasses import asdict
from importlib.metadata import version

from galen.finish import Finalist
from galen.journal import Journal
from galen.options import SearchOptions
from galen.result import SearchResult, figures
from galen.setup import Setup

PACKAGES = ("galen", "apache-tvm", "onnx", "onnxruntime", "torch", "numpy")


def record_setup(journal: Journal, options: SearchOptions, setup: Setup) -> None:
    """Write down what was known before the first episode; of a resumed search, that of its first run stays."""
    if journal.fact("layers") is not None:
        return
    goal = setup.problem.goal
    journal.record("command", shlex.join(sys.argv))
    journal.record("environment", environment())
    journal.record("kind", setup.latency.kind)
    journal.record("clock", setup.latency.model)
    journal.record("runner", options.runner.chosen(setup.subject.target))
    journal.record("objective", str(options.objective))
    journal.record("goal", {"max_latency_ms": goal.max_latency_ms, "min_accuracy": goal.min_accuracy})
    journal.record("baseline", figures(setup.baseline))
    journal.record("baseline_layers", [asdict(layer) for layer in setup.latency.layers])
    journal.record("sensitivity", setup.problem.sensitivity.to_json())
    journal.record("layers", [_layer(setup, index) for index in range(len(setup.problem.space.layers))])


def record_result(journal: Journal, result: SearchResult, winner: Finalist) -> None:
    """Write down how the search ended."""
    journal.record("result", result.to_json())
    journal.record("winner", {"episode": winner.episode.number, "policy": winner.episode.policy.to_json()})
    journal.record("finished", result.finished)


def environment() -> dict[str, str]:
    """Return versions and machine."""
    packages = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **packages, "machine": f"{platform.system()} {platform.machine()}"}


def _layer(setup: Setup, index: int) -> dict[str, object]:
    layer = setup.problem.space.layers[index]
    sizes = {group.name: group.size for group in setup.problem.space.groups}
    return {
        "name": layer.name,
        "op": layer.op,
        "macs": layer.macs,
        "groups": {name: sizes[name] for name in layer.outputs},
        "outputs": dict(layer.outputs),
        "inputs": dict(layer.inputs),
        "out_channels": layer.out_channels,
        "in_channels": layer.in_channels,
    }
