"""One shared library from a program: kernels, constants and the bytecode that TVM's Relax virtual machine runs."""

import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from galen.backends.image import write_image
from galen.backends.objects import objects
from galen.backends.program import Program
from galen.backends.zig import zig
from galen.ir import GalenError

_SHARED = ("-shared", "--gc-sections", "--strip-debug")
_RELOCATABLE = ("-r",)


def link(program: Program, path: Path, cache: Path | None = None) -> Path:
    """Write `program` to `path` as a shared library for its target.

    The library is loaded by `tvm.runtime.load_module` on the device; its function `main` takes the model's inputs in
    order and returns the output, or a tuple of them. Functions of the C library stay undefined: the process that loads
    the library has them.

    Args:
        program: what to link.
        path: where to write; appears whole or not at all.
        cache: folder of compiled kernels, see `objects`.

    Raises:
        GalenError: the linker failed.
    """
    return _write(program, path, cache, _SHARED)


def relocatable(program: Program, path: Path, cache: Path | None = None) -> Path:
    """Write `program` to `path` as one object file, to be linked into a program of the user's own; see `link`."""
    return _write(program, path, cache, _RELOCATABLE)


def _write(program: Program, path: Path, cache: Path | None, form: Iterable[str]) -> Path:
    compiled = list(objects((call.kernel for call in program.calls), program.target, cache).values())
    path = Path(path).absolute()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".galen-") as beside:
        image, part = Path(beside, "image.o"), Path(beside, path.name)
        write_image(program, compiled[0], image)
        _link(form, [image, *compiled], program.target.triple, part)
        os.replace(part, path)
    return path


def _link(form: Iterable[str], parts: Iterable[Path], triple: str, path: Path) -> None:
    """Link object files with zig's LLVM linker."""
    command = [zig(), "ld.lld", *form, "-m", _emulation(triple), "-o", str(path), *map(str, parts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GalenError(f"linking failed: {done.stderr.strip().splitlines()[-1]}", where=str(path))


def _emulation(triple: str) -> str:
    known = {"aarch64": "aarch64linux", "x86_64": "elf_x86_64", "riscv64": "elf64lriscv", "armv7": "armelf_linux_eabi"}
    for prefix, emulation in known.items():
        if triple.startswith(prefix):
            return emulation
    raise GalenError(f"cannot link for the triple {triple}", hint=f"known: {', '.join(known)}")
