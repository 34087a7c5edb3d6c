"""Compiled kernels, kept on disk under a name that says everything their code depends on.

Behind the object file proper, where no linker looks, stands its SHA-256: a file that was damaged is compiled again.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from galen.backends.folders import cache_folder
from galen.backends.kernels.base import Kernel
from galen.backends.target import Target

if TYPE_CHECKING:
    import tvm

_log = logging.getLogger(__name__)


def objects(kernels: Iterable[Kernel], target: Target, cache: Path | None = None) -> dict[str, Path]:
    """Return the object file of every kernel by symbol, compiling what the cache does not hold.

    Several processes may share a cache: a file appears whole or not at all.

    Args:
        kernels: repetitions are compiled once.
        target: what to compile for.
        cache: folder of the cache; by default `kernels` in the user's cache folder of Galen.
    """
    folder = cache or cache_folder("kernels")
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kernel: folder / f"{kernel.symbol(target)}.o" for kernel in dict.fromkeys(kernels)}
    missing = [kernel for kernel, path in paths.items() if not _intact(path)]
    if missing:
        # TVM lets go of the interpreter while it compiles, so that threads use all cores
        with ThreadPoolExecutor(min(len(missing), os.cpu_count() or 1)) as pool:
            list(pool.map(lambda kernel: _compile(kernel, target, kernel.symbol(target), paths[kernel]), missing))
    return {kernel.symbol(target): path for kernel, path in paths.items()}


def assembly(kernel: Kernel, target: Target) -> str:
    """Return the kernel's assembly text."""
    return str(_module(kernel, target, kernel.symbol(target)).inspect_source("asm"))


def _compile(kernel: Kernel, target: Target, symbol: str, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as beside:
        part = Path(beside, path.name)
        _module(kernel, target, symbol).write_to_file(str(part))
        with part.open("rb+") as file:
            file.write(hashlib.sha256(file.read()).digest())
        os.replace(part, path)


def _intact(path: Path) -> bool:
    """Return whether the object file is there and as it was written."""
    if not path.exists():
        return False
    data, size = path.read_bytes(), hashlib.sha256().digest_size
    if hashlib.sha256(data[:-size]).digest() == data[-size:]:
        return True
    _log.warning("%s: damaged; compiled anew", path)
    return False


def _module(kernel: Kernel, target: Target, symbol: str) -> "tvm.runtime.Module":
    import tvm  # noqa: PLC0415

    function = kernel.tir(target).with_attr("global_symbol", symbol)
    return tvm.tirx.build(tvm.IRModule({symbol: function}), target=tvm.target.Target(target.llvm))
