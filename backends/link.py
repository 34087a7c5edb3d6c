"""One shared library from a program: kernels, constants and the bytecode that TVM's Relax virtual machine runs."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galen.backends.memory import plan
from galen.backends.objects import objects
from galen.backends.program import Program
from galen.ir import GalenError

if TYPE_CHECKING:
    import tvm

DEVICE = 0
"""Index of the device that storage comes from: the only one, the CPU."""


def link(program: Program, path: Path, cache: Path | None = None) -> Path:
    """Write `program` to `path` as a shared library for its target.

    The library is loaded by `tvm.runtime.load_module` on the device; its function `main` takes the model's inputs in
    order and returns the output, or a tuple of them.

    Args:
        program: what to link.
        path: where to write; appears whole or not at all.
        cache: folder of compiled kernels, see `objects`.

    Raises:
        GalenError: the linker failed.
    """
    compiled = objects((call.kernel for call in program.calls), program.target, cache)
    path = Path(path).absolute()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".galen-") as beside:
        image = Path(beside, "image.o")
        _pack(program, image)
        part = Path(beside, path.name)
        shared_library([image, *compiled.values()], program.target.triple, part)
        os.replace(part, path)
    return path


def shared_library(parts: Iterable[Path], triple: str, path: Path) -> None:
    """Link object files with zig's LLVM linker, which pip installs for every host.

    Functions of the C library stay undefined: the process that loads the library has them.
    """
    command = [sys.executable, "-m", "ziglang", "ld.lld", "-shared", "--gc-sections", "-m", _emulation(triple)]
    done = subprocess.run([*command, "-o", str(path), *map(str, parts)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise GalenError(f"linking failed: {done.stderr.strip().splitlines()[-1]}", where=str(path))


def _emulation(triple: str) -> str:
    known = {"aarch64": "aarch64linux", "x86_64": "elf_x86_64", "riscv64": "elf64lriscv", "armv7": "armelf_linux_eabi"}
    for prefix, emulation in known.items():
        if triple.startswith(prefix):
            return emulation
    raise GalenError(f"cannot link for the triple {triple}", hint=f"known: {', '.join(known)}")


def _pack(program: Program, path: Path) -> None:
    """Write constants and bytecode as an object file with data only."""
    import tvm  # noqa: PLC0415

    executable = virtual_machine(program)
    pack = tvm.get_global_func("runtime.ModulePackImportsToLLVM")
    text = f'{{"kind":"llvm","mtriple":"{program.target.triple}"}}'
    pack(executable, False, text, "").write_to_file(str(path))


def virtual_machine(program: Program) -> "tvm.runtime.Module":
    """Return the program as a Relax executable that calls its kernels by symbol."""
    import tvm  # noqa: PLC0415
    from tvm import relax  # noqa: PLC0415

    builder = relax.ExecBuilder()
    with builder.function("main", len(program.inputs), list(program.inputs)):
        _emit_main(program, builder)
    vm_link = tvm.get_global_func("relax.VMLink")
    return vm_link(builder, tvm.target.Target(program.target.llvm), None, [], {})


def _emit_main(program: Program, builder: Any) -> None:
    import tvm  # noqa: PLC0415

    registers: dict[int, int] = {buffer: builder.r(i) for i, buffer in enumerate(program.inputs.values())}
    registers |= {b: builder.convert_constant(tvm.runtime.tensor(a)) for b, a in program.constants.items()}
    free = iter(range(len(program.inputs), 10**6))

    def storage(size: int) -> int:
        register = next(free)
        scope = builder.convert_constant("global")
        size_constant = builder.convert_constant(tvm.runtime.ShapeTuple([size]))
        uint8 = builder.convert_constant(tvm.DataType("uint8"))
        args = [builder.vm_state(), size_constant, builder.imm(DEVICE), uint8, scope]
        builder.emit_call("vm.builtin.alloc_storage", args, register)
        return register

    def place(buffer: int, memory: int, offset: int) -> None:
        register, spec = next(free), program.buffers[buffer]
        shape = builder.convert_constant(tvm.runtime.ShapeTuple(spec.shape))
        dtype = builder.convert_constant(tvm.DataType(spec.dtype))
        args = [builder.r(memory), builder.imm(offset), shape, dtype]
        builder.emit_call("vm.builtin.alloc_tensor", args, register)
        builder.emit_call("vm.builtin.ensure_zero_offset", [builder.r(register)], register)
        registers[buffer] = builder.r(register)

    layout = plan(program)
    if layout.size:
        arena = storage(layout.size)
        for buffer, offset in layout.offsets.items():
            place(buffer, arena, offset)
    for buffer in program.outputs.values():
        if buffer not in registers:
            place(buffer, storage(program.buffers[buffer].nbytes), 0)
    for call in program.calls:
        builder.emit_call(call.kernel.symbol(program.target), [registers[b] for b in call.args], next(free))
    results = [registers[b] for b in program.outputs.values()]
    if len(results) == 1:
        builder.emit_ret(results[0])
        return
    register = next(free)
    builder.emit_call("vm.builtin.make_tuple", results, register)
    builder.emit_ret(builder.r(register))
