"""Loads relocatable AArch64 objects, as TVM writes them, to a fixed address: no linker, so it takes milliseconds.

Relocations follow "ELF for the Arm 64-bit Architecture" (IHI 0056), table 5.7.5 and after.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galen.ir.errors import GalenError

_PAGE = 0xFFF
_ALLOCATED = 2  # SHF_ALLOC
_AARCH64 = "EM_AARCH64"

_LOAD_SHIFT = {278: 0, 284: 1, 285: 2, 286: 3, 299: 4}
"""Load and store relocations with a 12-bit scaled offset -> log2 of the access size."""

_ABSOLUTE = {257: "<Q", 258: "<I"}
_RELATIVE = {260: "<q", 261: "<i"}
_GOT_PAGE, _GOT_OFFSET = 311, 312


@dataclass
class Image:
    """What one object contributes to memory.

    Attributes:
        address: where `data` must be placed.
        symbols: address of every global symbol that the object defines.
    """

    address: int
    data: bytearray
    symbols: dict[str, int] = field(default_factory=dict)


def place(path: Path, address: int, external: Callable[[str], int]) -> Image:
    """Lay out the object file `path` at `address` and apply its relocations.

    Args:
        external: address of a function that the object does not define itself.

    Raises:
        GalenError: the file is not an AArch64 object, or uses a relocation that kernels do not need.
    """
    from elftools.common.exceptions import ELFError  # noqa: PLC0415
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            if elf["e_machine"] != _AARCH64 or elf["e_type"] != "ET_REL":
                raise GalenError("not a relocatable AArch64 object", where=str(path))
            return _Layout(elf, address, external, str(path)).image
    except (ELFError, OSError) as error:
        raise GalenError(f"cannot load kernel object: {error}", where=str(path)) from error


class _Layout:
    """One object while it is being placed."""

    def __init__(self, elf: Any, address: int, external: Callable[[str], int], where: str) -> None:
        self.where = where
        self.image = Image(address, bytearray())
        self.got: dict[int, int] = {}
        sections = list(elf.iter_sections())
        self.starts = self._place_sections(sections)
        table = elf.get_section_by_name(".symtab")
        self.symbols = self._resolve(table, external)
        for section in sections:
            if section["sh_type"] == "SHT_RELA" and section["sh_info"] in self.starts:
                base = self.starts[section["sh_info"]]
                for entry in section.iter_relocations():
                    self._relocate(base, entry)

    def _place_sections(self, sections: list[Any]) -> dict[int, int]:
        data = self.image.data
        starts: dict[int, int] = {}
        for index, section in enumerate(sections):
            if not section["sh_flags"] & _ALLOCATED or section.name == ".eh_frame":
                continue
            data.extend(bytes(-len(data) % max(section["sh_addralign"], 64)))
            starts[index] = self.image.address + len(data)
            data.extend(section.data() if section["sh_type"] != "SHT_NOBITS" else bytes(section["sh_size"]))
        return starts

    def _resolve(self, table: Any, external: Callable[[str], int]) -> list[int]:
        addresses = []
        for symbol in table.iter_symbols():
            place, name = symbol["st_shndx"], symbol.name
            if place in self.starts:
                addresses.append(self.starts[place] + symbol["st_value"])
                if symbol["st_info"]["bind"] != "STB_LOCAL":
                    self.image.symbols[name] = addresses[-1]
            elif place == "SHN_UNDEF" and name:
                addresses.append(external(name))
            else:
                addresses.append(0)
        return addresses

    def _relocate(self, base: int, entry: Mapping[str, int]) -> None:
        kind, site = entry["r_info_type"], base + entry["r_offset"]
        value = self.symbols[entry["r_info_sym"]] + entry["r_addend"]
        if kind in _ABSOLUTE:
            self._pack(_ABSOLUTE[kind], site, value)
        elif kind in _RELATIVE:
            self._pack(_RELATIVE[kind], site, value - site)
        else:
            self._patch(kind, site, value)

    def _patch(self, kind: int, site: int, value: int) -> None:
        """Insert a value into the immediate field of the instruction at `site`."""
        if kind in (_GOT_PAGE, _GOT_OFFSET):
            value = self._got_entry(value)
        word = struct.unpack_from("<I", self.image.data, site - self.image.address)[0]
        match kind:
            case 282 | 283:  # JUMP26, CALL26
                word |= (value - site) >> 2 & 0x3FFFFFF
            case 275 | 276 | 311:  # ADR_PREL_PG_HI21, its unchecked form, ADR_GOT_PAGE
                word |= _adr((value >> 12) - (site >> 12))
            case 274:  # ADR_PREL_LO21
                word |= _adr(value - site)
            case 277:  # ADD_ABS_LO12_NC
                word |= (value & _PAGE) << 10
            case 312:  # LD64_GOT_LO12_NC
                word |= (value & _PAGE) >> 3 << 10
            case 280:  # CONDBR19
                word |= ((value - site) >> 2 & 0x7FFFF) << 5
            case _ if kind in _LOAD_SHIFT:
                word |= (value & _PAGE) >> _LOAD_SHIFT[kind] << 10
            case _:
                raise GalenError(f"relocation {kind} is not supported", where=self.where)
        self._pack("<I", site, word)

    def _got_entry(self, value: int) -> int:
        if value not in self.got:
            self.image.data.extend(bytes(-len(self.image.data) % 8))
            self.got[value] = self.image.address + len(self.image.data)
            self.image.data.extend(struct.pack("<Q", value))
        return self.got[value]

    def _pack(self, form: str, site: int, value: int) -> None:
        struct.pack_into(form, self.image.data, site - self.image.address, value)


def _adr(distance: int) -> int:
    """Encode the two immediate fields of ADR and ADRP."""
    return (distance & 3) << 29 | (distance >> 2 & 0x7FFFF) << 5
