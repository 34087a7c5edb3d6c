"""What a binary computes must be onnxruntime's, but for roundings that nobody's outputs are sure of."""

import numpy as np
import pytest
from onnx_text import model

from galen import agreement
from galen.agreement import compare, unrest
from galen.ir import GalenError, Model
from galen.ir.execute import run
from galen.passes.policy import Bits, Policy
from galen.passes.quantize import Quantize

INPUTS = {"x": np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)}


def network(**bits: int) -> Model:
    """Three layers, of which some are quantized."""
    graph = model("""net (float[1,3,8,8] x) => (float[1,4,8,8] z)
        <float[40,3,3,3] a, float[40,40,3,3] b, float[4,40,1,1] c> {
        x1 = Conv<pads=[1,1,1,1]>(x, a)
        x2 = Conv<pads=[1,1,1,1]>(x1, b)
        z = Conv(x2, c) }""")
    if bits:
        layers = {name: Bits(width, width) for name, width in bits.items()}
        Quantize(policy=Policy(layers=layers), calibration="random").apply(graph)
    return graph


def test_fp32_must_agree_closely() -> None:
    graph = network()
    (right,) = run(graph, INPUTS).values()
    assert compare(graph, {"z": right * np.float32(1 + 1e-5)}, INPUTS, where="core") > 0
    with pytest.raises(GalenError, match="core: output z differs by"):
        compare(graph, {"z": right * np.float32(1.01)}, INPUTS, where="core")


def test_integers_behind_fp32_are_unsure_and_integers_alone_are_not() -> None:
    for first, unsure in ((8, False), (32, True)):
        graph = network(x1=first, x2=8, z=8)
        assert (unrest(graph, INPUTS, run(graph, INPUTS))["z"] > 0) == unsure


@pytest.mark.parametrize(("moved", "agrees"), [(0.0, False), (0.04, False), (0.06, True)])
def test_more_than_a_rounding_is_forgiven_as_far_as_outputs_are_unsure(
    moved: float, agrees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = network(x1=8, x2=8, z=8)
    (right,) = run(graph, INPUTS).values()
    size = float(np.abs(right).max())
    monkeypatch.setattr(agreement, "unrest", lambda *_: {"z": moved * size})
    found = right + np.float32(0.1 * size)
    if agrees:
        assert compare(graph, {"z": found}, INPUTS, where="core") == pytest.approx(0.1 * size, rel=1e-3)
    else:
        with pytest.raises(GalenError, match="differs by"):
            compare(graph, {"z": found}, INPUTS, where="core")
