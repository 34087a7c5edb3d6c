"""The forms in which a compiled model can be looked at or shipped."""

import io
import json
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from galen.backends.bytecode import virtual_machine
from galen.backends.link import link, relocatable
from galen.backends.objects import assembly
from galen.backends.program import Program
from galen.ir.files import atomic


def emit(program: Program, form: str, path: Path) -> None:
    """Write `program` to `path`, whole or not at all.

    Args:
        program: a lowered model.
        form: `lib` shared library, `object` one relocatable object file, `asm` and `tir` text of all kernels, `relax`
            text of the bytecode around them, `bundle` a tar archive of the library and `interface.json`.
        path: where to write.

    Raises:
        GalenError: the linker failed, or the file cannot be written.
    """
    if form == "lib":
        link(program, path)
    elif form == "object":
        relocatable(program, path)
    else:
        with atomic(path) as file:
            file.write(_WRITERS[form](program))


def _assembly(program: Program) -> bytes:
    return "\n".join(assembly(kernel, program.target) for kernel in _kernels(program)).encode()


def _tir(program: Program) -> bytes:
    texts = [
        f"# {kernel.symbol(program.target)}\n{kernel.tir(program.target).script()}" for kernel in _kernels(program)
    ]
    return "\n\n".join(texts).encode()


def _relax(program: Program) -> bytes:
    return str(virtual_machine(program).as_text()).encode()


def _bundle(program: Program) -> bytes:
    with tempfile.TemporaryDirectory() as folder, io.BytesIO() as buffer:
        library = link(program, Path(folder, "model.so"))
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(library, "model.so")
            text = json.dumps(interface(program), indent=1).encode()
            entry = tarfile.TarInfo("interface.json")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
        return buffer.getvalue()


def interface(program: Program) -> dict[str, Any]:
    """Return what a caller of the library must know: its target and its inputs and outputs in order."""

    def described(names: Any) -> list[dict[str, Any]]:
        specs = [(name, program.buffers[index]) for name, index in names.items()]
        return [{"name": name, "shape": list(spec.shape), "type": spec.dtype} for name, spec in specs]

    return {
        "target": program.target.name,
        "llvm": program.target.llvm,
        "function": "main",
        "inputs": described(program.inputs),
        "outputs": described(program.outputs),
    }


def _kernels(program: Program) -> list[Any]:
    return list(dict.fromkeys(call.kernel for call in program.calls))


_WRITERS: dict[str, Callable[[Program], bytes]] = {
    "asm": _assembly,
    "tir": _tir,
    "relax": _relax,
    "bundle": _bundle,
}
