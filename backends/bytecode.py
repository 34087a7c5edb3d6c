"""A program as bytecode of TVM's Relax virtual machine: storage, tensors in it, and calls of kernels by symbol."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from galen.backends.memory import plan
from galen.backends.program import Program

if TYPE_CHECKING:
    import tvm

DEVICE = 0
"""Index of the device that storage comes from: the only one, the CPU."""


def virtual_machine(program: Program, constants: Mapping[int, np.ndarray] | None = None) -> "tvm.runtime.Module":
    """Return the program as a Relax executable that calls its kernels by symbol.

    Args:
        program: what to run.
        constants: arrays to use instead of the program's own, all of them.
    """
    import tvm  # noqa: PLC0415
    from tvm import relax  # noqa: PLC0415

    builder = relax.ExecBuilder()
    with builder.function("main", len(program.inputs), list(program.inputs)):
        _emit_main(_Tensors(program, builder, program.constants if constants is None else constants))
    vm_link = tvm.get_global_func("relax.VMLink")
    return vm_link(builder, tvm.target.Target(program.target.llvm), None, [], {})


def _emit_main(memory: "_Tensors") -> None:
    """Emit storage, tensors in it, and the calls."""
    program, builder = memory.program, memory.builder
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

    def __init__(self, program: Program, builder: Any, constants: Mapping[int, np.ndarray]) -> None:
        import tvm  # noqa: PLC0415

        self.program, self.builder, self.tvm = program, builder, tvm
        self._next = len(program.inputs)
        self.registers = {buffer: builder.r(i) for i, buffer in enumerate(program.inputs.values())}
        for buffer, array in constants.items():
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
