"""Machine code as the pipeline model sees it: what class an instruction is of, which registers it reads and writes.

Classes end in `.q` when they work on 128-bit vectors: cores with 64-bit units need two slots for those.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

FLAGS = "nzcv"

KINDS = (
    "alu", "alu-shift", "imul", "idiv", "branch", "nop", "v-to-x", "x-to-v", "load", "load2", "store", "store2",
    "vload", "vload2", "vload3", "vload4", "vload-dup", "vload-lane", "vload-zip2", "vload-zip3", "vload-zip4",
    "vstore", "vstore2", "vstore3", "vstore4", "vstore-lane", "vstore-zip2", "vstore-zip3", "vstore-zip4", "fma",
    "fmul", "fadd", "fminmax", "fdiv", "convert", "dot", "vlogic", "vmul", "vmul-long", "vaccumulate", "vshift",
    "vnarrow", "vpermute", "vtable",
)  # fmt: skip
"""All classes; a table may tell the 128-bit form of one, with `.q` after its name, from the rest."""

_CLASSES = (
    (r"fml[as]$|fmadd|fmsub|fnm(add|sub)|fmlal|fmlsl", "fma"),
    (r"fn?mul|frecps|frsqrts", "fmul"),
    (r"fdiv|fsqrt", "fdiv"),
    (r"fadd|fsub|faddp|fabd", "fadd"),
    (r"f(max|min)|fac[gl]|fcm(eq|g[et]|l[et])|fcmp|fccmp|fcsel", "fminmax"),
    (r"fabs|fneg", "vlogic"),
    (r"fcvt|[su]cvtf|frint|frecpe|frsqrte|frecpx", "convert"),
    (r"[su]s?dot|[su]s?mmla|bfdot|bfmmla", "dot"),
    (r"[su]adalp", "vaccumulate"),
    (r"([su]m|sqdm)(l[as]l|ull)2?$|sqr?dml?[as]h|sqr?dmulh|pmull?2?$", "vmul-long"),
    (r"(mul|mla|mls)$", "mul"),
    (r"(sq|uq|sqr|uqr|r|s|u|ur|sr)?(shl|shr|shll2?|shrn2?|shrun2?|sra|sli|sri)$|[su]xtl2?$", "vshift"),
    (r"(sq|uq)?xtun?2?$|xtn2?$|[su]qxtn2?$", "vnarrow"),
    (r"tb[lx]$", "vtable"),
    (r"(zip|uzp|trn)[12]$|ext$|rev(16|32|64)$|dup$|ins$|movi$|mvni$|cnt$", "vpermute"),
    (r"(madd|msub|mneg|smull|umull|smaddl|umaddl|smulh|umulh)$", "imul"),
    (r"[su]div$", "idiv"),
    (r"(b|bl|br|blr|ret|cbn?z|tbn?z)$|b\.", "branch"),
    (r"prfm|nop|hint|dmb|dsb|isb|bti|paciasp|autiasp", "nop"),
)
_CLASSES_COMPILED = tuple((re.compile(pattern), name) for pattern, name in _CLASSES)

_ACCUMULATES = re.compile(
    r"fml[as]|fmlal|fmlsl|ml[as]$|[su]mlal|[su]mlsl|sqdml|sqrdml|[su]adalp|[su]s?dot|[su]s?mmla|bf|[su]abal?|"
    r"[su]r?sra|s[lr]i$|bsl|bi[tf]$|tbx|ins$|movk|bfi|bfxil|bfm|.*(xtn|xtun|shrn|shrun|hn)2$"
)
_SETS_FLAGS = re.compile(r"(add|sub|and|bic|adc|sbc|neg)s$|cmp$|cmn$|tst$|ccmp$|ccmn$|fcmpe?$|fccmpe?$")
_READS_FLAGS = re.compile(r"b\.|cs|cin|cneg|fcsel|ccm|fccm|adc|sbc")
_WRITES_NOTHING = re.compile(r"st|cmp|cmn|tst|ccm|fcmp|fccmp|b$|b\.|br$|blr|ret|cb|tb[nz]|prfm|nop|hint|dmb|dsb|isb")
_REGISTER = re.compile(r"\b([xwvqdshb])(\d+)\b|\b(sp|wsp)\b")
_VECTOR_SHAPE = re.compile(r"\.(16b|8h|4s|2d)\b")
_SHIFTED = re.compile(r"(lsl|lsr|asr|ror|[su]xt[bhwx])( #\d+)?$")


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        kind: class in a pipeline table, such as `fma.q`.
        reads, writes: architectural registers (`x3`, `v7`) and `nzcv`.
        accumulator: the register among `reads` that it adds to, which cores forward early.
        base: the address register that a load or store moves, ready one cycle later.
        jump: bytes from a direct branch to where it leads; 0 for other branches.
    """

    kind: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    accumulator: str | None = None
    base: str | None = None
    jump: int | None = None


def decode(code: bytes) -> tuple[Instruction, ...]:
    """Return the instructions of a piece of AArch64 code."""
    words = (code[i : i + 4] for i in range(0, len(code), 4))
    return tuple(_decode_word(word) for word in words)


def is_loop(code: Sequence[Instruction]) -> bool:
    """Return whether the last instruction leads back to the first."""
    return code[-1].jump == -4 * (len(code) - 1)


def ends_in_branch(code: bytes) -> bool:
    """Return whether the last instruction may lead elsewhere than to the one behind it."""
    return _decode_word(code[-4:]).kind == "branch"


@cache
def _decode_word(word: bytes) -> Instruction:
    """Decode one instruction word; loops repeat few distinct ones."""
    found = list(_disassembler().disasm_lite(word, 0))
    return _parse(found[0][2], found[0][3]) if found else Instruction("vlogic.q", (), ())


@cache
def _disassembler() -> Any:
    from capstone import CS_ARCH_ARM64, CS_MODE_ARM, Cs  # noqa: PLC0415

    return Cs(CS_ARCH_ARM64, CS_MODE_ARM)


def _parse(mnemonic: str, operands: str) -> Instruction:
    registers = [_name(match) for match in _REGISTER.finditer(operands)]
    count = _destinations(mnemonic, operands)
    writes, reads = registers[:count], registers[count:]
    partial = re.match(r"v\d+\.[bhsd]\[", operands) is not None  # writing one lane keeps the others
    accumulates = count > 0 and (partial or _ACCUMULATES.match(mnemonic) is not None)
    accumulator = writes[0] if accumulates else None
    base = _base(operands) if _writeback(operands) else None
    reads += writes[:1] if accumulates else []
    writes += [base] if base else []
    reads += [FLAGS] * bool(_READS_FLAGS.match(mnemonic))
    writes += [FLAGS] * bool(_SETS_FLAGS.match(mnemonic))
    kind = _kind(mnemonic, operands)
    jump = _jump(operands) if kind == "branch" else None
    return Instruction(kind, tuple(dict.fromkeys(reads)), tuple(writes), accumulator, base, jump)


def _jump(operands: str) -> int:
    """Return the distance of a branch that was decoded at address 0."""
    found = re.search(r"#(0x[0-9a-f]+|-?\d+)$", operands)
    distance = int(found[1], 0) if found else 0
    return distance - (1 << 64) if distance >> 63 else distance


def _name(match: re.Match[str]) -> str:
    if match[3]:
        return "sp"
    return ("x" if match[1] in "xw" else "v") + match[2]


def _destinations(mnemonic: str, operands: str) -> int:
    """Return how many of the first registers are results."""
    if mnemonic.startswith("ld"):
        if operands.startswith("{"):
            return len(_REGISTER.findall(operands.partition("}")[0]))
        return 1 + mnemonic.startswith(("ldp", "ldnp"))
    return 0 if _WRITES_NOTHING.match(mnemonic) else 1


def _base(operands: str) -> str:
    found = _REGISTER.search(operands, operands.index("["))
    return _name(found) if found else ""


def _writeback(operands: str) -> bool:
    """Return whether the base register of a load or store moves: `[x0, #16]!` or `[x0], #16`."""
    return operands.endswith("!") or ("], " in operands and "[" in operands and not operands.startswith("v"))


def _kind(mnemonic: str, operands: str) -> str:
    wide = ".q" if _VECTOR_SHAPE.search(operands) or mnemonic.endswith("2") else ""
    if mnemonic.startswith(("ld", "st")):
        return _memory_kind(mnemonic, operands)
    vector = re.match(r"[vqdshb]\d+", operands) is not None
    general = re.search(r"\b[xw]\d+|\b[xw]zr", operands) is not None
    if general and (vector or re.search(r"\b[vqdshb]\d+", operands)):
        return "x-to-v" if vector else "v-to-x"
    for pattern, name in _CLASSES_COMPILED:
        if pattern.match(mnemonic):
            return f"v{name}{wide}" if vector and name == "mul" else "imul" if name == "mul" else name + wide
    if vector:
        return ("vpermute" if "[" in operands else "vlogic") + wide
    return "alu-shift" if _SHIFTED.search(operands) or mnemonic in _SLOW_ALU else "alu"


_SLOW_ALU = frozenset(("bfi", "bfxil", "bfm", "extr", "ror", "crc32w"))


def _memory_kind(mnemonic: str, operands: str) -> str:
    """Return `load`, `vload2.q` ... : what moves, how many registers of it, and their width."""
    verb = "load" if mnemonic.startswith("ld") else "store"
    if operands.startswith("{"):
        count = len(_REGISTER.findall(operands.partition("}")[0]))
        if mnemonic.endswith("r"):
            return "vload-dup.q"
        if "}[" in operands:
            return f"v{verb}-lane"
        zipped = mnemonic[2] != "1"
        wide = _VECTOR_SHAPE.search(operands) is not None
        return f"v{verb}{'-zip' * zipped}{count if count > 1 else ''}{'.q' * wide}"
    pair = "2" if re.match(r"(ld|st)n?p", mnemonic) else ""
    return f"{'v' * (operands[0] in 'qdshb')}{verb}{pair}{'.q' * (operands[0] == 'q')}"
