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


def relocatable(program: Program, path: Path, cache: Path | None = None) -> Path:
    """Write `program` to `path` as one object file, to be linked into a program of the user's own; see `link`."""
    compiled = objects((call.kernel for call in program.calls), program.target, cache)
    path = Path(path).absolute()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".galen-") as beside:
        image = Path(beside, "image.o")
        _pack(program, image)
        part = Path(beside, path.name)
        _link("-r", [image, *compiled.values()], program.target.triple, part)
        os.replace(part, path)
    return path


def shared_library(parts: Iterable[Path], triple: str, path: Path) -> None:
    """Link object files with zig's LLVM linker, which pip installs for every host.

    Functions of the C library stay undefined: the process that loads the library has them.
    """
    _link("-shared", parts, triple, path)


def _link(form: str, parts: Iterable[Path], triple: str, path: Path) -> None:
    collect = [] if form == "-r" else ["--gc-sections"]
    command = [sys.executable, "-m", "ziglang", "ld.lld", form, *collect, "-m", _emulation(triple)]
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
    """Emit storage, tensors in it, and the calls."""
    memory = _Tensors(program, builder)
    layout = plan(program)
    if layout.size:
        arena = memory.storage(layout.size)
        for buffer, offset in layout.offsets.items():
            memory.place(buffer, arena, offset)
    for buffer in map(program.memory, program.outputs.values()):
        if buffer not in memory.registers:
            memory.place(buffer, memory.storage(program.buffers[buffer].nbytes), 0)
    for buffer in program.views:
        memory.view(buffer)
    for call in program.calls:
        arguments = [memory.registers[b] for b in call.args]
        builder.emit_call(call.kernel.symbol(program.target), arguments, memory.fresh())
    results = [memory.registers[b] for b in program.outputs.values()]
    if len(results) > 1:
        register = memory.fresh()
        builder.emit_call("vm.builtin.make_tuple", results, register)
        results = [builder.r(register)]
    builder.emit_ret(results[0])


class _Tensors:
    """Bytecode that brings every buffer into a register of the virtual machine."""

    def __init__(self, program: Program, builder: Any) -> None:
        import tvm  # noqa: PLC0415

        self.program, self.builder, self.tvm = program, builder, tvm
        self._next = len(program.inputs)
        self.registers = {buffer: builder.r(i) for i, buffer in enumerate(program.inputs.values())}
        for buffer, array in program.constants.items():
            self.registers[buffer] = builder.convert_constant(tvm.runtime.tensor(array))

    def fresh(self) -> int:
        """Return an unused register."""
        self._next += 1
        return self._next - 1

    def storage(self, size: int) -> int:
        """Allocate `size` bytes; the machine's allocator keeps them between inferences."""
        scope, byte = self.builder.convert_constant("global"), self.builder.convert_constant(self.tvm.DataType("uint8"))
        args = [self.builder.vm_state(), self._shape((size,)), self.builder.imm(DEVICE), byte, scope]
        return self._call("vm.builtin.alloc_storage", args)

    def place(self, buffer: int, storage: int, offset: int) -> None:
        """Let `buffer` be at `offset` of `storage`. Kernels want tensors without an offset of their own."""
        spec = self.program.buffers[buffer]
        dtype = self.builder.convert_constant(self.tvm.DataType(spec.dtype))
        tensor = self._call(
            "vm.builtin.alloc_tensor", [storage, self.builder.imm(offset), self._shape(spec.shape), dtype]
        )
        self.registers[buffer] = self._call("vm.builtin.ensure_zero_offset", [tensor])

    def view(self, buffer: int) -> None:
        """Let `buffer` be its base under another shape."""
        base = self.registers[self.program.memory(buffer)]
        self.registers[buffer] = self._call(
            "vm.builtin.reshape", [base, self._shape(self.program.buffers[buffer].shape)]
        )

    def _shape(self, shape: tuple[int, ...]) -> int:
        return int(self.builder.convert_constant(self.tvm.runtime.ShapeTuple(shape)))

    def _call(self, function: str, args: list[int]) -> int:
        register = self.fresh()
        self.builder.emit_call(function, args, register)
        return int(self.builder.r(register))
