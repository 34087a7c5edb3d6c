"""Whether a device at the other end of an RPC session is hardware of a target's kind, and not an emulator of it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from galen.backends.emulator.native import compile_c
from galen.backends.target import Target

_FLAGS = ("-O2", "-shared", "-fPIC", "-nostdlib")
_FILES, _LONGEST = 5, 700
"""Files that `probe.c` reads, and bytes of each that are enough."""

_SIGNS = {b"aarch64": b"CPU implementer", b"x86_64": b"vendor_id"}
_EMULATORS = (b"dummy-virt", b"qemu")


def is_genuine(session: Any, target: Target) -> bool:
    """Return whether the device is hardware of the target's kind, judged by what its kernel says of itself."""
    with TemporaryDirectory(prefix="galen-") as folder:
        library = Path(folder, "galen-probe.so")
        family = target.triple.split("-")[0]
        compile_c(Path(__file__).with_name("probe.c"), library, (*_FLAGS, "-target", f"{family}-linux-gnu"))
        session.upload(str(library))
        probe = session.load_module(library.name).get_function("galen_probe")
        return judge([_read(probe, index) for index in range(_FILES)], target)


def judge(files: Sequence[bytes], target: Target) -> bool:
    """Return the same from the contents of the files that `probe.c` lists; empty where there is no such file.

    A process under qemu-user sees the kernel of the machine that emulates it; a virtual machine has a board or vendor
    of that name.
    """
    kernel, processor, *board = files
    family = target.triple.split("-")[0].encode()
    if kernel.strip() not in (b"", family) or _SIGNS.get(family, b"") not in processor:
        return False
    return not any(word in text.lower() for text in board for word in _EMULATORS)


def _read(probe: Callable[[int, int], int], index: int) -> bytes:
    text = b""
    while len(text) < _LONGEST:
        chunk = int(probe(index, len(text))).to_bytes(8, "little", signed=True)
        text += chunk[: chunk[7]]
        if chunk[7] == 0:
            break
    return text
