"""Writes data as a relocatable ELF object, straight from memory: a compiler would copy it several times.

Layout and names follow the System V ABI, "Object Files" (gABI 4.1, chapter 4), in its 32- and 64-bit forms.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_IDENT, _CLASS_64 = 16, 2
_RELOCATABLE = 1
_NULL, _PROGBITS, _SYMTAB, _STRTAB = 0, 1, 2, 3
_ALLOC = 2
_GLOBAL_OBJECT = 1 << 4 | 1
_ALIGNMENT = 64
_NAMES = b"\0.rodata\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack\0"


@dataclass(frozen=True)
class _Form:
    """How 32- or 64-bit objects lay out their records. `machine` and `flags` are those of the code beside the data."""

    ident: bytes
    machine: int
    flags: int

    @property
    def word(self) -> str:
        return "Q" if self.ident[4] == _CLASS_64 else "I"

    def header(self, sections_at: int, sections: int) -> bytes:
        """Return the file header; section names are in the last section."""
        form = f"<16sHHI{self.word * 3}IHHHHHH"
        size, section_size = struct.calcsize(form), len(self.section(_NULL, _NULL))
        fields = (_RELOCATABLE, self.machine, 1, 0, 0, sections_at, self.flags, size, 0, 0)
        return struct.pack(form, self.ident, *fields, section_size, sections, sections - 1)

    def section(self, name: int, kind: int, at: int = 0, size: int = 0, align: int = 1, **more: int) -> bytes:
        """Return a section header; `more` are `flags`, `link`, `info` and `entry`."""
        form = f"<II{self.word * 4}II{self.word * 2}"
        flags, link, info, entry = (more.get(key, 0) for key in ("flags", "link", "info", "entry"))
        return struct.pack(form, name, kind, flags, 0, at, size, link, info, align, entry)

    def symbol(self, name: int, info: int, section: int, size: int) -> bytes:
        """Return a symbol at the start of a section."""
        if self.word == "Q":
            return struct.pack("<IBBHQQ", name, info, 0, section, 0, size)
        return struct.pack("<IIIBBH", name, 0, size, info, 0, section)


def write_data_object(path: Path, like: Path, symbol: str, pieces: Sequence[bytes | memoryview]) -> None:
    """Write an object file whose only symbol is read-only data, the `pieces` one after the other.

    Args:
        path: where to write.
        like: an object file for the same machine.
        symbol: name of the data.
        pieces: bytes, or contiguous memory of any type.
    """
    form = _form_of(like)
    size = sum(memoryview(piece).nbytes for piece in pieces)
    names = b"\0" + symbol.encode() + b"\0"
    symbols = form.symbol(0, 0, 0, 0) + form.symbol(1, _GLOBAL_OBJECT, 1, size)
    at = [_ALIGNMENT, _ALIGNMENT + size + -size % 8]
    for part in (symbols, names, _NAMES):
        at.append(at[-1] + len(part) + -len(part) % 8)
    sections = [
        form.section(0, _NULL, align=0),
        form.section(_name(".rodata"), _PROGBITS, at[0], size, _ALIGNMENT, flags=_ALLOC),
        form.section(_name(".note.GNU-stack"), _PROGBITS, at[1]),
        form.section(_name(".symtab"), _SYMTAB, at[1], len(symbols), 8, link=4, info=1, entry=len(symbols) // 2),
        form.section(_name(".strtab"), _STRTAB, at[2], len(names)),
        form.section(_name(".shstrtab"), _STRTAB, at[3], len(_NAMES)),
    ]
    with path.open("wb") as file:
        file.write(form.header(at[4], len(sections)))
        for start, parts in zip(at, (pieces, [symbols], [names], [_NAMES], sections), strict=True):
            file.seek(start)
            file.writelines(parts)


def _name(section: str) -> int:
    return _NAMES.index(section.encode() + b"\0")


def _form_of(path: Path) -> _Form:
    with path.open("rb") as file:
        start = file.read(64)
    ident = start[:_IDENT]
    flags_at = 48 if ident[4] == _CLASS_64 else 36
    return _Form(ident, *struct.unpack_from("<H", start, 18), *struct.unpack_from("<I", start, flags_at))
