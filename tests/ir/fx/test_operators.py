"""The table of operators against the standard: the cases that the ONNX project keeps for each of them."""

import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.case.test_case import TestCase

from galen.ir import GalenError
from galen.ir.fx import to_fx
from galen.ir.fx.operators import TABLE
from galen.ir.io import from_proto

CASES: dict[str, list[TestCase]] = {}
REFUSED = (GalenError, NotImplementedError)
"""A form that has no torch equivalent, by name; torch computes little in uint16, uint32 and uint64."""
UNTESTED = {"GRU", "LayerNormalization", "Cast", "CastLike"}
"""Cases that are all of refused forms, or in types that numpy does not have: the real networks show the others."""

TRAINING = "test_training_dropout"
"""Cases that drop at random: torch code drops nothing, as in inference."""


@pytest.fixture(scope="module", autouse=True)
def _cases() -> None:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for case in collect_testcases():
            operators = [node.op_type for node in case.model.graph.node]
            if len(operators) == 1 and not case.name.startswith(TRAINING):
                CASES.setdefault(operators[0], []).append(case)


def compute(proto: onnx.ModelProto, inputs: list[np.ndarray]) -> list[np.ndarray]:
    with torch.no_grad():
        results = to_fx(from_proto(proto)).eval()(*(torch.from_numpy(np.array(array)) for array in inputs))
    return [value.numpy() for value in (results if isinstance(results, tuple) else (results,))]


def is_numeric(arrays: object) -> bool:
    return all(isinstance(a, np.ndarray | np.generic) and a.size and a.dtype.kind in "fiub" for a in arrays)  # type: ignore[attr-defined]


@pytest.mark.parametrize("operator", sorted(TABLE))
def test_operator(operator: str) -> None:
    wrong, right = [], 0
    for case in CASES.get(operator, []):
        for inputs, outputs in case.data_sets or []:
            if not is_numeric([*inputs, *outputs]):
                continue
            try:
                for actual, expected in zip(compute(case.model, inputs), outputs, strict=True):
                    assert actual.shape == expected.shape
                    np.testing.assert_allclose(
                        actual.astype(np.float64), expected.astype(np.float64), rtol=1e-3, atol=1e-5
                    )
                right += 1
            except REFUSED:
                continue
            except AssertionError as error:
                wrong.append(f"{case.name}: {' '.join(str(error).split())[:100]}")
    assert not wrong, "\n".join(wrong)
    assert right or operator in UNTESTED
