"""Instructions as the pipeline model sees them, assembled by zig."""

import subprocess
import sys
from pathlib import Path

import pytest

from galen.backends.emulator.decode import Instruction, decode, is_loop
from galen.backends.emulator.elf import place


def assemble(text: str, folder: Path) -> tuple[Instruction, ...]:
    source, output = folder / "code.s", folder / "code.o"
    source.write_text(f".arch armv8.4-a+fp16\n{text}\n")
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-c",
        "-target",
        "aarch64-linux-musl",
        str(source),
        "-o",
        str(output),
    ]
    subprocess.run(command, check=True, capture_output=True)
    image = place(output, 0x1000, lambda name: 0)
    return decode(bytes(image.data)[: 4 * len(text.strip().splitlines())])


LINES = {
    "fmla v0.4s, v1.4s, v2.s[1]": Instruction("fma.q", ("v1", "v2", "v0"), ("v0",), "v0"),
    "fmla v0.2s, v1.2s, v2.2s": Instruction("fma", ("v1", "v2", "v0"), ("v0",), "v0"),
    "sdot v0.4s, v1.16b, v2.4b[1]": Instruction("dot.q", ("v1", "v2", "v0"), ("v0",), "v0"),
    "fmul v0.8h, v1.8h, v2.h[0]": Instruction("fmul.q", ("v1", "v2"), ("v0",)),
    "sadalp v0.4s, v1.8h": Instruction("vaccumulate.q", ("v1", "v0"), ("v0",), "v0"),
    "smlal2 v0.8h, v1.16b, v2.16b": Instruction("vmul-long.q", ("v1", "v2", "v0"), ("v0",), "v0"),
    "ldr q0, [x0], #16": Instruction("vload.q", ("x0",), ("v0", "x0"), base="x0"),
    "ldp q0, q1, [x2, #32]": Instruction("vload2.q", ("x2",), ("v0", "v1")),
    "ld1 {v0.4s, v1.4s}, [x1], #32": Instruction("vload2.q", ("x1",), ("v0", "v1", "x1"), base="x1"),
    "ld1r {v3.4s}, [x4]": Instruction("vload-dup.q", ("x4",), ("v3",)),
    "str q0, [x0, #16]": Instruction("vstore.q", ("v0", "x0"), ()),
    "stp x0, x1, [sp, #16]!": Instruction("store2", ("x0", "x1", "sp"), ("sp",), base="sp"),
    "mov v0.s[1], v2.s[0]": Instruction("vpermute", ("v2", "v0"), ("v0",), "v0"),
    "mov w0, v1.s[1]": Instruction("v-to-x", ("v1",), ("x0",)),
    "dup v0.4s, w1": Instruction("x-to-v", ("x1",), ("v0",)),
    "add x0, x1, x2, lsl #3": Instruction("alu-shift", ("x1", "x2"), ("x0",)),
    "madd x0, x1, x2, x3": Instruction("imul", ("x1", "x2", "x3"), ("x0",)),
    "subs x0, x0, #1": Instruction("alu", ("x0",), ("x0", "nzcv")),
    "csel x0, x1, x2, ne": Instruction("alu", ("x1", "x2", "nzcv"), ("x0",)),
}


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Instruction]:
    instructions = assemble("\n".join(LINES), tmp_path_factory.mktemp("lines"))
    return dict(zip(LINES, instructions, strict=True))


@pytest.mark.parametrize("line", LINES)
def test_an_instruction(decoded: dict[str, Instruction], line: str) -> None:
    assert decoded[line] == LINES[line]


def test_a_branch_back_to_the_start_is_a_loop(tmp_path: Path) -> None:
    loop = assemble("fmla v0.4s, v1.4s, v2.4s\nsubs x0, x0, #1\nb.ne .-8", tmp_path)
    assert is_loop(loop)
    assert not is_loop(loop[:2])
    assert not is_loop(loop[1:])
