"""ONNX's own node tests: what can be lowered means what ONNX says, all else is refused in one line."""

from collections.abc import Iterator

import numpy as np
import pytest
from interpret import interpret
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.case.test_case import TestCase

from galen.backends.kernels.fallback import Fallback
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.ir import GalenError
from galen.ir.io import from_proto

RANDOM = ("test_bernoulli", "test_random", "test_multinomial")
LOWERED = 800
"""So many at least have kernels of their own."""


def cases() -> Iterator[TestCase]:
    """Those with plain tensors; random operators have no right answer."""
    for case in collect_testcases(None):
        arrays = [*case.data_sets[0][0], *case.data_sets[0][1]] if case.data_sets else []
        if all(isinstance(array, np.ndarray | np.generic) for array in arrays) and not case.name.startswith(RANDOM):
            yield case


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_lowered_means_what_onnx_says() -> None:
    lowered, wrong, refusals = 0, [], []
    for case in cases():
        model = from_proto(case.model)
        sources, results = case.data_sets[0]
        inputs = {str(value.name): np.asarray(a) for value, a in zip(model.graph.inputs, sources, strict=False)}
        try:
            program = lower(model, find("cortex-a72"), {name: array.shape for name, array in inputs.items()})
        except GalenError as error:
            refusals.append(str(error))
            continue
        if any(isinstance(call.kernel, Fallback) for call in program.calls):
            continue  # TVM's own code for the operator, which has no reference here
        lowered += 1
        found = interpret(program, inputs)
        expected = zip(model.graph.outputs, results, strict=True)
        if not all(agree(found[str(value.name)], np.asarray(array)) for value, array in expected):
            wrong.append(case.name)
    assert not wrong
    assert not [text for text in refusals if "\n" in text]
    assert lowered >= LOWERED


def agree(found: np.ndarray, expected: np.ndarray) -> bool:
    if found.shape != expected.shape or expected.dtype.kind not in "f":
        return np.array_equal(found, expected)
    return np.allclose(found.astype(np.float64), expected.astype(np.float64), rtol=1e-3, atol=1e-4, equal_nan=True)
