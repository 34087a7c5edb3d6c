"""Load, save and `simplify,fold-batchnorm` on every network at hand, and what else Galen can do with each.

    python benchmarks/opt_models.py --data DIR     real networks of DIR/models, light models and node tests of `onnx`
    … --passes TEXT                                other passes than simplify,fold-batchnorm

A node test is taken twice: as it is, and with all inputs but the first made constant, so that folding has work to do.
Outputs before and after are compared in onnxruntime, or in ONNX's reference where onnxruntime lacks the operator.
"""

import argparse
import json
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

from galen.ir import GalenError, Model
from galen.ir.digest import digest
from galen.ir.edit import all_nodes
from galen.ir.execute import Arrays, random_inputs, run
from galen.ir.io import from_proto, load, save, to_proto
from galen.passes.pipeline import Pipeline
from galen.passes.watch import largest_change

TEXT = "simplify,fold-batchnorm"
TOLERANCE = 1e-5
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}


@dataclass(frozen=True)
class Case:
    """A model with inputs to run it on; no inputs: random ones."""

    name: str
    proto: onnx.ModelProto
    inputs: Arrays | None = None


@dataclass(frozen=True)
class Verdict:
    """What became of one case: `ok` or what failed, and where it was run."""

    name: str
    result: str
    runner: str = ""
    change: float = 0.0
    nodes: tuple[int, int] = (0, 0)


def real_models(folder: Path) -> Iterator[Case]:
    entries = json.loads((folder / "models.json").read_text()).values()
    examples = {entry["file"]: entry for entry in entries}
    for path in sorted(folder.glob("*.onnx")):
        shapes = {name: spec["shape"] for name, spec in examples[path.name]["example_inputs"].items()}
        model = load(path)
        yield Case(path.stem, to_proto(model), random_inputs(model, np.random.default_rng(0), shapes))


def light_models() -> Iterator[Case]:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    for path in sorted(folder.glob("*.onnx")):
        yield Case(path.stem, onnx.load(path))


def node_tests() -> Iterator[Case]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        tests = collect_testcases()
    for test in tests:
        names = [value.name for value in test.model.graph.input]
        inputs = dict(zip(names, test.data_sets[0][0], strict=False))
        yield Case(test.name, test.model, inputs)
        if len(inputs) > 1 and all(isinstance(array, np.ndarray) for array in inputs.values()):
            yield Case(f"{test.name} (constant)", *constant_inputs(test.model, inputs))


def constant_inputs(proto: onnx.ModelProto, inputs: Arrays) -> tuple[onnx.ModelProto, Arrays]:
    """Return the model with every input but the first turned into an initializer."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    first = copy.graph.input[0]
    copy.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in inputs.items() if name != first.name
    )
    del copy.graph.input[1:]
    return copy, {first.name: inputs[first.name]}


def check(case: Case, pipeline: Pipeline) -> Verdict:
    """Load, save, load again, rewrite, compare."""
    try:
        model = from_proto(case.proto, case.name)
        with tempfile.TemporaryDirectory() as folder:
            save(model, Path(folder) / "model.onnx")
            again = load(Path(folder) / "model.onnx")
        if digest(again) != digest(model):
            return Verdict(case.name, "changed by saving")
        before = sum(1 for _ in model.graph)
        pipeline.apply(again)
        nodes = before, sum(1 for _ in again.graph)
        runner, change = compare(case, model, again)
        draws = any(node.op_type in RANDOM for node in all_nodes(model))
        result = "ok" if draws or change <= tolerance(model) else "output changed"
        return Verdict(case.name, result, runner, change, nodes)
    except GalenError as error:
        return Verdict(case.name, f"refused: {error}")


def tolerance(model: Model) -> float:
    """1e-5, or the spacing of the coarsest floating type among the outputs: two ways to round may differ by it."""
    types = [v.dtype for v in model.graph.outputs if v.dtype is not None and v.dtype.is_floating_point()]
    return max([TOLERANCE, *(float(ml_dtypes.finfo(dtype.numpy()).eps) for dtype in types)])


def compare(case: Case, before: Model, after: Model) -> tuple[str, float]:
    """Return where both models ran and the largest relative change of an output."""
    inputs = case.inputs if case.inputs is not None else random_inputs(before, np.random.default_rng(0))
    for runner, execute in (("onnxruntime", run_plain), ("reference", run_reference)):
        try:
            expected = execute(before, inputs)
        except GalenError:
            continue
        _, change = largest_change(plain_arrays(expected), plain_arrays(execute(after, inputs)))
        return runner, change
    return "nowhere", 0.0


def run_plain(model: Model, inputs: Arrays) -> Arrays:
    return run(model, fed(model, inputs), optimize=False)


def fed(model: Model, inputs: Arrays) -> Arrays:
    names = {value.name for value in model.graph.inputs}
    return {name: array for name, array in inputs.items() if name in names}


def run_reference(model: Model, inputs: Arrays) -> Arrays:
    names = [str(value.name) for value in model.graph.outputs]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = ReferenceEvaluator(to_proto(model)).run(None, fed(model, inputs))
    except Exception as error:
        raise GalenError(f"the reference cannot run the model: {error}") from error
    return dict(zip(names, results, strict=True))


def plain_arrays(outputs: Arrays) -> Arrays:
    """Flatten sequences and optionals into arrays."""
    flat: dict[str, np.ndarray] = {}
    for name, value in outputs.items():
        items = value if isinstance(value, list) else [value]
        flat.update({f"{name}[{i}]": np.asarray(item) for i, item in enumerate(items) if item is not None})
    return flat


def report(title: str, cases: Iterator[Case], pipeline: Pipeline, *, each: bool) -> list[Verdict]:
    verdicts = [check(case, pipeline) for case in cases]
    print(f"\n{title}: {sum(v.result == 'ok' for v in verdicts)} of {len(verdicts)} ok")
    for verdict in verdicts:
        if each or verdict.result != "ok":
            nodes = f"{verdict.nodes[0]:5} -> {verdict.nodes[1]:5} nodes" if verdict.nodes != (0, 0) else ""
            print(f"  {verdict.name:42} {verdict.result:15} {nodes} {verdict.runner} {verdict.change:.1e}")
    print(f"  run in: {dict(Counter(v.runner for v in verdicts))}")
    return verdicts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with models/")
    parser.add_argument("--passes", default=TEXT)
    arguments = parser.parse_args()
    pipeline = Pipeline.parse(arguments.passes)
    verdicts = report("real networks", real_models(arguments.data / "models"), pipeline, each=True)
    verdicts += report("light models", light_models(), pipeline, each=True)
    verdicts += report("node tests", node_tests(), pipeline, each=False)
    return int(any(verdict.result != "ok" for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
