"""What a library holds: one arena for all that is between the calls, constants, and nothing that a device refuses."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile
from one_conv import CONV, example, program

from galen.backends.bytecode import virtual_machine
from galen.backends.execution import run_on_host
from galen.backends.link import link, relocatable
from galen.backends.memory import plan
from galen.backends.program import Call, Program


def chain(length: int) -> Program:
    """Return `length` convolutions, one after the other."""
    one, activations = program("host"), [0, *range(3, 3 + length)]
    calls = [Call(CONV, (a, 1, 2, b), f"conv{a}", "Conv") for a, b in pairwise(activations)]
    buffers = (*CONV.args[:3], *[CONV.args[3]] * length)
    return replace(one, buffers=buffers, outputs={"y": activations[-1]}, calls=tuple(calls))


def test_storage_is_asked_for_once_whatever_the_length() -> None:
    arena, output = 1, 1
    for length in (2, 5):
        text = virtual_machine(chain(length)).as_text()
        calls = [line for line in text.splitlines() if "vm.builtin.alloc_storage" in line and "call" in line]
        assert len(calls) == arena + output


def test_buffers_share_memory_when_their_lives_do_not_overlap() -> None:
    layout = plan(chain(5))
    assert len(layout.offsets) == 4
    assert layout.size == 2 * CONV.args[3].nbytes


def test_a_library_holds_its_constants(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    constants = {
        1: random.standard_normal(CONV.args[1].shape).astype(np.float32),
        2: random.standard_normal(CONV.args[2].shape).astype(np.float32),
    }
    made = replace(program("host"), constants=constants)
    x, _ = example()
    found = run_on_host(made, link(made, tmp_path / "network.so"), {"x": x})["y"]
    np.testing.assert_allclose(found, CONV.reference(x, *constants.values())[0], atol=1e-4)


@pytest.mark.parametrize("make", [link, relocatable])
@pytest.mark.parametrize("target", ["cortex-a72", "host"])
def test_the_runtime_finds_its_data_in_every_form(
    make: Callable[[Program, Path], Path], target: str, tmp_path: Path
) -> None:
    weights = np.random.default_rng(0).standard_normal(CONV.args[1].shape).astype(np.float32)
    plain = program(target)
    for path in (tmp_path / "network", tmp_path / "network"):  # a second one replaces the first
        make(replace(plain, constants={**plain.constants, 1: weights}), path)
    assert list(tmp_path.iterdir()) == [path]
    with path.open("rb") as file:
        elf = ELFFile(file)
        (symbol,) = elf.get_section_by_name(".symtab").get_symbol_by_name("__tvm_ffi__library_bin")
        section = elf.get_section(symbol["st_shndx"])
        data = section.data()
    assert symbol["st_info"]["bind"] == "STB_GLOBAL"
    assert symbol["st_value"] == section["sh_addr"]
    assert int.from_bytes(data[:8], "little") == len(data) - 8
    assert weights.tobytes() in data


def test_a_library_needs_no_executable_stack_and_no_debugger(tmp_path: Path) -> None:
    with link(program("cortex-a72"), tmp_path / "network.so").open("rb") as file:
        elf = ELFFile(file)
        (stack,) = (segment for segment in elf.iter_segments() if segment["p_type"] == "PT_GNU_STACK")
        assert not stack["p_flags"] & 1
        assert not [section.name for section in elf.iter_sections() if section.name.startswith(".debug")]
