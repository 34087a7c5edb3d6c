"""Integer vector instructions as expressions. Names are those of the Arm Architecture Reference Manual.

LLVM recognises the pairs: `smull` then `+` becomes `smlal`, `saddlp` then `+` becomes `sadalp`, a product of upper
halves `smull2`.
"""

from collections.abc import Sequence

from galen.backends.kernels.emit import Emitter, Expr


def intrinsic(e: Emitter, dtype: str, name: str, *arguments: Expr) -> Expr:
    """Call an LLVM intrinsic without side effects; overloads are resolved from the types."""
    return e.T.call_llvm_pure_intrin(dtype, name, *arguments)


def concat(e: Emitter, vectors: Sequence[Expr], lanes: int) -> Expr:
    """Join vectors of `lanes` elements each."""
    if len(vectors) == 1:
        return vectors[0]
    return e.T.Shuffle(list(vectors), [e.T.int32(i) for i in range(lanes * len(vectors))])


def halves(e: Emitter, vector: Expr, dtype: str) -> tuple[Expr, Expr]:
    """Cut a vector in two of type `dtype`, e.g. `int8x8`."""
    half = int(dtype.rpartition("x")[2])
    low, high = (intrinsic(e, dtype, "llvm.vector.extract", vector, e.T.int64(at)) for at in (0, half))
    return low, high


def smull(e: Emitter, a: Expr, b: Expr) -> Expr:
    """Multiply eight int8 into int16."""
    return intrinsic(e, "int16x8", "llvm.aarch64.neon.smull", a, b)


def smull16(e: Emitter, a: Expr, b: Expr) -> Expr:
    """Multiply four int16 into int32."""
    if e.arm:
        return intrinsic(e, "int32x4", "llvm.aarch64.neon.smull", a, b)
    return e.T.Cast("int32x4", a) * e.T.Cast("int32x4", b)


def saddlp(e: Emitter, a: Expr, dtype: str = "int32x4") -> Expr:
    """Add neighbours into elements twice as wide."""
    return _long_pairs(e, "saddlp", a, dtype)


def uaddlp(e: Emitter, a: Expr, dtype: str) -> Expr:
    """Add unsigned neighbours into elements twice as wide."""
    return _long_pairs(e, "uaddlp", a, dtype)


def _long_pairs(e: Emitter, name: str, a: Expr, dtype: str) -> Expr:
    if e.arm:
        return intrinsic(e, dtype, f"llvm.aarch64.neon.{name}", a)
    scalar, lanes = dtype.split("x")
    return _pairs(e, e.T.Cast(f"{scalar}x{2 * int(lanes)}", a), int(lanes))


def addp(e: Emitter, a: Expr, b: Expr, dtype: str) -> Expr:
    """Add neighbours of `a`, then of `b`."""
    if e.arm:
        return intrinsic(e, dtype, "llvm.aarch64.neon.addp", a, b)
    lanes = int(dtype.split("x")[1])
    return _pairs(e, concat(e, [a, b], lanes), lanes)


def _pairs(e: Emitter, vector: Expr, pairs: int) -> Expr:
    even, odd = (e.T.Shuffle([vector], [e.T.int32(2 * i + k) for i in range(pairs)]) for k in range(2))
    return even + odd


def transposed_sum(e: Emitter, a: Sequence[Expr]) -> Expr:
    """Return `[sum(a[0]), …, sum(a[3])]` of four int32x4."""
    low, high = (addp(e, a[i], a[i + 1], "int32x4") for i in (0, 2))
    return addp(e, low, high, "int32x4")


def popcount(e: Emitter, bytes_: Expr) -> Expr:
    """Count the bits of each of 16 bytes."""
    return intrinsic(e, "uint8x16", "llvm.ctpop", bytes_)


def sdot(e: Emitter, total: Expr, a: Expr, b: Expr) -> Expr:
    """Add the products of four neighbouring int8 to each int32 of `total`."""
    return intrinsic(e, "int32x4", "llvm.aarch64.neon.sdot", total, a, b)


def smmla(e: Emitter, total: Expr, a: Expr, b: Expr) -> Expr:
    """Add to `total`, 2x2 of int32, the product of `a` and `b` transposed, each 2x8 of int8."""
    return intrinsic(e, "int32x4", "llvm.aarch64.neon.smmla", total, a, b)


def vpdpbusd(e: Emitter, total: Expr, unsigned: Expr, signed: Expr) -> Expr:
    """Add the products of four neighbouring uint8 and int8 to each of 16 int32 (AVX-512 VNNI)."""
    return intrinsic(e, "int32x16", "llvm.x86.avx512.vpdpbusd.512", total, unsigned, signed)
