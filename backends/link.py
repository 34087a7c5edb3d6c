"""One shared library from a program: kernels, constants and the bytecode that TVM's Relax virtual machine runs."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from galen.backends.image import Image
from galen.backends.objects import objects
from galen.backends.program import Program
from galen.backends.zig import zig
from galen.ir import GalenError


@dataclass(frozen=True)
class _Form:
    """What the linker makes.

    Attributes:
        options: of the linker.
        place: where the data goes among the sections.
    """

    options: Sequence[str]
    place: str


_SHARED = _Form(("-shared", "--gc-sections", "--strip-debug"), "BEFORE .dynsym")
_RELOCATABLE = _Form(("-r",), "AFTER .text")


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


def _write(program: Program, path: Path, cache: Path | None, form: _Form) -> Path:
    compiled = list(objects((call.kernel for call in program.calls), program.target, cache).values())
    path, image = Path(path).absolute(), Image(program)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".galen-") as beside:
        script, part = Path(beside, "room.ld"), Path(beside, path.name)
        script.write_text(image.room(form.place))
        _link([*form.options, "-T", str(script), *map(str, compiled)], program.target.triple, part)
        image.fill(part)
        path.unlink(missing_ok=True)  # as linkers do: to replace it, a file system may first write the new one to disk
        os.replace(part, path)
    return path


def _link(arguments: Sequence[str], triple: str, path: Path) -> None:
    """Link object files with zig's LLVM linker."""
    command = [zig(), "ld.lld", *arguments, "-m", _emulation(triple), "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise GalenError(f"linking failed: {done.stderr.strip().splitlines()[-1]}", where=str(path))


def _emulation(triple: str) -> str:
    known = {"aarch64": "aarch64linux", "x86_64": "elf_x86_64", "riscv64": "elf64lriscv", "armv7": "armelf_linux_eabi"}
    for prefix, emulation in known.items():
        if triple.startswith(prefix):
            return emulation
    raise GalenError(f"cannot link for the triple {triple}", hint=f"known: {', '.join(known)}")
