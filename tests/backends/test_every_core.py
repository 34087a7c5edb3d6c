"""A network computes the same on every emulated core, at every width that its table offers."""

from pathlib import Path

import numpy as np
import pytest

from galen.backends import integer
from galen.backends.execution import run_on_core
from galen.backends.lower import lower
from galen.backends.targets import all_targets
from galen.ir import Model
from galen.ir.execute import run
from galen.ir.io import load
from galen.passes.fold_batchnorm import FoldBatchNorm
from galen.passes.policy import FP16, FP32
from galen.passes.quantize import Quantize
from galen.passes.simplify import Simplify

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.onnx"
CORES = [target for target in all_targets() if target.pipeline]
OFFERS = [(core, bits) for core in CORES for bits in core.limits.widths["Conv"]]
TOLERANCES = {FP32: 1e-5, FP16: 1e-2}
"""Relative to the largest output; integers have none."""


def digits() -> Model:
    model = load(DIGITS)
    Simplify().apply(model)
    FoldBatchNorm().apply(model)
    return model


@pytest.mark.parametrize(
    ("core", "bits"),
    [pytest.param(core, bits, id=f"{core.name} {bits.weight_bits}x{bits.activation_bits}") for core, bits in OFFERS],
)
def test_outputs_are_the_references(core, bits):
    model = digits()
    if bits != FP32:
        Quantize(bits.weight_bits, bits.activation_bits, calibration="random").apply(model)
    (source,) = model.graph.inputs
    shape = [dim if isinstance(dim, int) else 1 for dim in source.shape]
    inputs = {str(source.name): np.random.default_rng(0).random(shape, np.float32)}
    ((_, found),) = run_on_core(lower(model, core), inputs).items()
    if bits not in TOLERANCES:
        ((_, exact),) = integer.run(model, inputs).items()
        np.testing.assert_array_equal(found, exact)
    else:
        ((_, expected),) = run(model, inputs).items()
        np.testing.assert_allclose(found, expected, atol=TOLERANCES[bits] * np.abs(expected).max())
