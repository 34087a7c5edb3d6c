"""The pipeline model: bounds that follow from a core's units, and what order of execution changes."""

import pytest

from galen.backends.emulator.decode import KINDS, Instruction
from galen.backends.emulator.pipeline import pipeline
from galen.backends.targets import all_targets
from galen.ir.errors import GalenError

CORES = sorted({target.pipeline for target in all_targets() if target.pipeline})


def loop(*body: Instruction) -> list[Instruction]:
    return [*body, Instruction("branch", (), (), jump=-4 * len(body))]


def fma(accumulator: str, *reads: str) -> Instruction:
    return Instruction("fma.q", (*(reads or ("v30", "v31")), accumulator), (accumulator,), accumulator)


@pytest.mark.parametrize("core", CORES)
def test_every_table_knows_every_class(core: str) -> None:
    for kind in KINDS:
        assert pipeline(core).cost(kind).latency >= 1


@pytest.mark.parametrize(
    ("core", "per_cycle"), [("cortex-a53", 1), ("cortex-a72", 1), ("cortex-a76", 2), ("neoverse-v2", 4)]
)
def test_independent_multiply_adds_run_at_the_cores_peak(core: str, per_cycle: int) -> None:
    code = loop(*(fma(f"v{i}") for i in range(24)))
    assert pipeline(core).cycles(code) == pytest.approx(24 / per_cycle, rel=0.1)


def test_a_chain_of_accumulations_runs_at_the_forwarding_latency() -> None:
    table = pipeline("cortex-a72")
    assert table.cycles(loop(*[fma("v0")] * 8)) == pytest.approx(8 * table.cost("fma.q").forward)


def test_order_matters_to_an_in_order_core_only() -> None:
    """A load right before its use stalls the Cortex-A53; the Cortex-A72 looks ahead."""
    pairs = [
        (Instruction("load", ("x9",), (f"x{i}",)), Instruction("alu", (f"x{i}",), (f"x{i + 10}",))) for i in range(6)
    ]
    near = loop(*(instruction for pair in pairs for instruction in pair))
    far = loop(*(load for load, _ in pairs), *(use for _, use in pairs))
    assert pipeline("cortex-a53").cycles(near) > 1.3 * pipeline("cortex-a53").cycles(far)
    assert pipeline("cortex-a72").cycles(near) == pytest.approx(pipeline("cortex-a72").cycles(far), rel=0.05)


def test_code_that_is_no_loop_does_not_wait_for_its_own_last_turn() -> None:
    body = [fma("v0", "v1", "v2"), Instruction("alu", ("x0",), ("x1",))]
    assert pipeline("cortex-a72").cycles(body) < pipeline("cortex-a72").cycles(loop(*body))


def test_unknown_core() -> None:
    with pytest.raises(GalenError, match="no pipeline table 'z80'"):
        pipeline("z80")
