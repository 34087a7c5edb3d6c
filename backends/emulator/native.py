"""Builds Galen's few C files with zig, once, and keeps them."""

import ctypes
import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from galen.backends.folders import cache_folder
from galen.backends.zig import zig
from galen.ir.errors import GalenError

HOST = ("-O2", "-shared", "-fPIC", "-nostdlib", "-target", f"{platform.machine()}-linux-gnu")
GUEST = ("-O2", "-c", "-target", "aarch64-linux-musl", "-ffreestanding", "-fno-builtin", "-fno-pic", "-g0")


@cache
def hooks() -> ctypes.CDLL:
    """Return the functions of `hooks.c`, compiled for this machine."""
    return ctypes.CDLL(str(_built("hooks.c", ".so", HOST)))


def install(uc: Any, kind: int, function: Any, data: ctypes.Structure) -> None:
    """Let the emulated core `uc` call a function of `hooks.c` with `data`, which must live as long as the core."""
    from unicorn.unicorn_py3.unicorn import uclib  # noqa: PLC0415

    handle, everywhere = ctypes.c_size_t(), (ctypes.c_uint64(1), ctypes.c_uint64(0))
    callback, state = ctypes.cast(function, ctypes.c_void_p), ctypes.c_void_p(ctypes.addressof(data))
    status = uclib.uc_hook_add(uc._uch, ctypes.byref(handle), kind, callback, state, *everywhere)
    if status:
        raise GalenError(f"the emulated core refuses a counter: error {status}", hint="unicorn 2.1.4 is known to work")


@cache
def guest_object() -> Path:
    """Return `guest.c` compiled for the emulated core."""
    return _built("guest.c", ".o", GUEST)


def qemu_plugin(version: int) -> Path:
    """Return `plugin.c` compiled for this machine and a version of QEMU's plugin interface."""
    return _built("plugin.c", ".so", (*HOST, f"-DPLUGIN_VERSION={version}"))


def compile_c(source: Path, output: Path, flags: tuple[str, ...]) -> None:
    """Compile one C file with zig; `output` appears whole or not at all.

    Raises:
        GalenError: zig could not compile it.
    """
    beside = output.with_suffix(f".{os.getpid()}{output.suffix}")
    command = [zig(), "cc", *flags, str(source), "-o", str(beside)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = next((line for line in done.stderr.splitlines() if "error" in line), "no message")
        raise GalenError(f"zig cannot compile it: {message}", where=str(source), hint="reinstall the ziglang package")
    beside.rename(output)


def _built(source: str, suffix: str, flags: tuple[str, ...]) -> Path:
    """Return the compiled file of a source of this folder, made now if it is not there yet."""
    folder = Path(__file__).parent
    digest = hashlib.sha256(f"{version('ziglang')} {flags}".encode())
    for part in sorted(folder.glob("*.[ch]")):
        digest.update(part.read_bytes())
    path = cache_folder("native") / f"{digest.hexdigest()[:16]}-{Path(source).stem}{suffix}"
    if not path.exists():
        compile_c(folder / source, path, flags)
    return path
