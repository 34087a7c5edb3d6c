"""Every file of `tests/golden/<pass>/` is a specification: the pass, a model as ONNX text, and the text it becomes.

`pytest tests/passes/test_golden.py --update-golden` writes what passes do now; review the difference before committing.
"""

from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from galen.ir import Model
from galen.ir.execute import random_inputs, run
from galen.ir.io import from_proto
from galen.ir.show import show
from galen.passes import registry
from galen.passes.base import Pass
from galen.passes.name_nodes import NameNodes
from galen.passes.pipeline import Pipeline
from galen.passes.watch import largest_change, tolerance_of

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(GOLDEN.glob("*/*.txt"))
SEPARATOR = "\n---\n"


@pytest.mark.parametrize("path", CASES, ids=[f"{path.parent.name}/{path.stem}" for path in CASES])
def test_text_in_text_out(path: Path, request: pytest.FixtureRequest) -> None:
    text, source, *expected = path.read_text().split(SEPARATOR)
    model = from_proto(onnx.parser.parse_model(source))
    original = model.clone()
    Pipeline.parse(text.strip()).apply(model)
    written = show(model)
    if request.config.getoption("--update-golden"):
        path.write_text(SEPARATOR.join([text, source, written + "\n"]))
    else:
        assert written + "\n" == expected[0]
    _assert_same_function(original, model, text)


def _assert_same_function(original: Model, rewritten: Model, text: str) -> None:
    """A pass that declares a tolerance keeps it; any pass leaves a model that runs."""
    NameNodes().apply(original)  # onnxruntime refuses a name that is used twice
    inputs = random_inputs(original, np.random.default_rng(0), _twos(original) | _twos(rewritten))
    kept = {name: array for name, array in inputs.items() if name in {v.name for v in rewritten.graph.inputs}}
    outputs = run(rewritten, kept, optimize=False)
    tolerance = tolerance_of(Pipeline.parse(text.strip()))
    if tolerance is not None:
        assert largest_change(run(original, inputs, optimize=False), outputs)[1] <= tolerance


def _twos(model: Model) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the inputs with 2 for every dynamic dimension."""
    return {
        str(value.name): tuple(dim if isinstance(dim, int) else 2 for dim in value.shape or ())
        for value in model.graph.inputs
        if value.name not in model.graph.initializers
    }


def test_every_pass_of_this_package_has_a_golden_test() -> None:
    own = {name for name in registry.names() if Pass.registry[name].__module__.startswith("galen.")}
    assert {path.parent.name for path in CASES} >= own - {"pipeline"}
