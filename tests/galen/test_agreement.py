"""What a binary computes must be onnxruntime's; behind integers, given the integers that it found itself."""

from collections.abc import Callable

import numpy as np
import pytest
from onnx_text import model

from galen.agreement import Compute, verify
from galen.backends.execution import run_on_core
from galen.backends.lower import lower
from galen.backends.targets import find
from galen.boundaries import boundaries, expose, resume
from galen.ir import GalenError, Model
from galen.ir.clone import clone
from galen.ir.edit import set_initializer
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


def binary(change: Callable[[np.ndarray], np.ndarray], weights: str = "a") -> Compute:
    """Return a binary that is onnxruntime, but for `weights`."""

    def compute(asked: Model) -> dict[str, np.ndarray]:
        copy = clone(asked)
        value = copy.graph.initializers[weights]
        set_initializer(value, change(value.const_value.numpy()))
        return run(copy, INPUTS, optimize=False)

    return compute


def shaken(array: np.ndarray) -> np.ndarray:
    """Off by less than `agreement.FINE`, as sums are that are rounded in another order, only more so."""
    return (array * (1 + np.random.default_rng(0).uniform(-3e-4, 3e-4, array.shape))).astype(np.float32)


def wrong(array: np.ndarray) -> np.ndarray:
    """One of many filters is off by 5 %."""
    array = array.copy()
    array[7] *= 1.05
    return array


def test_fp32_must_agree_closely() -> None:
    (largest,) = (np.abs(array).max() for array in run(network(), INPUTS).values())
    assert 0 < verify(network(), binary(shaken), INPUTS, where="core") < 1e-3 * largest
    with pytest.raises(GalenError, match=r"core: output z differs by .* the first that does: output z"):
        verify(network(), binary(wrong), INPUTS, where="core")


def test_a_number_between_two_integers_may_become_either() -> None:
    graph = network(x1=32, x2=4, z=2)
    (expected,), (found,) = run(graph, INPUTS).values(), binary(shaken)(graph).values()
    assert np.abs(found - expected).max() > 0.02 * np.abs(expected).max()
    assert verify(graph, binary(shaken), INPUTS, where="core") == np.abs(found - expected).max()


@pytest.mark.parametrize(("weights", "first"), [("a", "x1_"), ("c", "output z")])
def test_a_fault_among_integers_is_found_where_it_begins(weights: str, first: str) -> None:
    graph = network(x1=32, x2=2, z=32)
    fault = wrong if weights == "a" else lambda array: array * np.float32(1.05)
    with pytest.raises(GalenError, match=f"the first that does: .*{first}"):
        verify(graph, binary(fault, weights), INPUTS, where="core")


def off_by_one(names: list[str], places: int) -> Compute:
    """Return a binary that computes every layer right, but miscounts `places` of its integers."""

    def compute(asked: Model) -> dict[str, np.ndarray]:
        honest = run(expose(network(x1=32, x2=8, z=32)), INPUTS, optimize=False)
        integers = {name: honest[name].copy() for name in names}
        for array in integers.values():
            array.flat[:places] += np.where(array.flat[:places] < 128, 1, -1).astype(array.dtype)
        outputs = resume(network(x1=32, x2=8, z=32), INPUTS, integers)
        return {"z": outputs["z"] * 1, **integers}

    return compute


def test_a_miscounted_integer_is_a_fault_however_little_the_outputs_move() -> None:
    graph = network(x1=32, x2=8, z=32)
    names = [boundary.name for boundary in boundaries(graph)]
    assert verify(graph, off_by_one(names, 0), INPUTS, where="core") < 1e-4
    with pytest.raises(GalenError, match=f"the first that does: value {names[0]}"):
        verify(graph, off_by_one(names, 300), INPUTS, where="core")


def test_a_binary_that_changes_when_it_is_looked_at_is_not_trusted() -> None:
    graph = network(x1=32, x2=2, z=2)

    def compute(asked: Model) -> dict[str, np.ndarray]:
        return (binary(wrong) if asked is graph else binary(shaken))(asked)

    with pytest.raises(GalenError, match="which changes when integers are returned"):
        verify(graph, compute, INPUTS, where="core")


@pytest.mark.parametrize("bits", [{"x1": 32, "x2": 2, "z": 2}, {"x1": 8, "x2": 32, "z": 4}, {"x1": 8, "x2": 8, "z": 8}])
def test_what_kernels_compute_holds_piece_by_piece(bits: dict[str, int]) -> None:
    graph, core = network(**bits), find("cortex-a72")
    seen = run_on_core(lower(expose(graph), core), INPUTS)
    assert np.array_equal(run_on_core(lower(graph, core), INPUTS)["z"], seen["z"])
    exact, found = resume(graph, INPUTS, seen), boundaries(graph)
    assert len(found) >= sum(width < 32 for width in bits.values())
    for boundary in found:
        source, integers = exact[boundary.source], seen[boundary.name]
        assert boundary.holds(integers, source, 1e-5 * np.abs(source).max())
        assert not boundary.holds(integers ^ 1, source, 1e-5 * np.abs(source).max())
    np.testing.assert_allclose(seen["z"], exact["z"], atol=1e-5 * np.abs(exact["z"]).max())
