"""What each network can do: become torch code, be pruned, be quantized, be compiled for ARM.

    python benchmarks/opt_abilities.py --data DIR

`ok` means: done, and onnxruntime ran the result (or torch gave onnxruntime's outputs to 1e-4). Anything else is
Galen's own message. Light models get random weights first: theirs are computed from shapes.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from opt_models import Case, light_models, real_models

from galen.backends.build import compile as compile_model
from galen.backends.targets import find
from galen.ir import GalenError, Model
from galen.ir.costs import costs
from galen.ir.execute import Arrays, random_inputs, run
from galen.ir.fx import to_fx
from galen.ir.io import from_proto
from galen.ir.shapes import pin
from galen.passes.pipeline import Pipeline
from galen.passes.watch import largest_change

PREPARE = "simplify{limit=200000000},fold-batchnorm,simplify"


@dataclass(frozen=True)
class Network:
    """A simplified network with static shapes and inputs to run it on."""

    name: str
    model: Model
    inputs: Arrays


def prepared(case: Case) -> Network:
    model = from_proto(case.proto, case.name)
    inputs = case.inputs if case.inputs is not None else random_inputs(model, np.random.default_rng(0))
    pin(model, {name: array.shape for name, array in inputs.items()})
    Pipeline.parse(PREPARE).apply(model)
    names = {value.name for value in model.graph.inputs}
    return Network(case.name, model, {name: array for name, array in inputs.items() if name in names})


def as_torch(network: Network) -> str:
    expected = run(network.model, network.inputs)
    module = to_fx(network.model.clone()).eval()
    with torch.no_grad():
        results = module(*(torch.from_numpy(network.inputs[str(v.name)]) for v in network.model.graph.inputs))
    results = results if isinstance(results, tuple) else (results,)
    _, change = largest_change(expected, {n: t.numpy() for n, t in zip(expected, results, strict=True)})
    return "ok" if change <= 1e-4 else f"differs by {change:.1e}"


def pruned(network: Network) -> str:
    model = network.model.clone()
    before = costs(model).parameters
    Pipeline.parse("prune{sparsity=0.5}").apply(model)
    run(model, network.inputs)
    return f"ok, {costs(model).parameters / max(before, 1):.2f} left"


def quantized(network: Network) -> str:
    model = network.model.clone()
    Pipeline.parse("quantize{calibration=random}").apply(model)
    run(model, network.inputs)
    return f"ok, {sum(node.op_type == 'QuantizeLinear' for node in model.graph)} pairs"


def compiled(network: Network) -> str:
    with tempfile.TemporaryDirectory() as folder:
        compile_model(network.model.clone(), find("cortex-a72"), Path(folder) / "network.so")
    return "ok"


ABILITIES: tuple[Callable[[Network], str], ...] = (as_torch, pruned, quantized, compiled)


def attempt(ability: Callable[[Network], str], network: Network) -> str:
    try:
        return ability(network)
    except GalenError as error:
        return str(error)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with models/")
    parser.add_argument("--only", help="part of a name")
    arguments = parser.parse_args()
    for case in cases(arguments.data):
        if arguments.only is None or arguments.only in case.name:
            network = prepared(case)
            print(network.name)
            for ability in ABILITIES:
                print(f"  {ability.__name__:10} {attempt(ability, network)}", flush=True)
    return 0


def cases(data: Path) -> Iterator[Case]:
    yield from real_models(data / "models")
    yield from light_models()


if __name__ == "__main__":
    sys.exit(main())
