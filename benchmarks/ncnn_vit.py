"""A vision transformer as ncnn's `.param` text, the layers and options as in ncnn's own benchmark; without weights."""

from collections.abc import Iterator


def param(width: int, heads: int, depth: int, patch: int, side: int) -> str:
    """Return the network for square images of `side` pixels and 1000 classes."""
    lines = list(_lines(width, heads, depth, patch, (side // patch) ** 2 + 1))
    blobs = sum(int(line.split()[3]) for line in lines)
    return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""])


def _lines(width: int, heads: int, depth: int, patch: int, tokens: int) -> Iterator[str]:
    yield "Input data 0 1 data"
    yield f"MemoryData first 0 1 first 0={width} 1=1"
    yield f"MemoryData places 0 1 places 0={width} 1={tokens}"
    yield f"Convolution patches 1 1 data patches 0={width} 1={patch} 3={patch} 5=1 6={3 * patch * patch * width}"
    yield f"Reshape flat 1 1 patches flat 0=-1 1={width}"
    yield "Permute turned 1 1 flat turned 0=1"
    yield "Concat joined 2 1 first turned joined 0=0"
    yield "BinaryOp x0 2 1 joined places x0 0=0"
    for i in range(depth):
        yield from _encoder(i, width, heads)
    yield f"LayerNorm last 1 1 x{depth} last 0={width} 1=1.000000e-06 2=1"
    yield "Crop token 1 1 last token -23309=1,0 -23310=1,1 -23311=1,0"
    yield _dense("head", "token", width, 1000)


def _encoder(i: int, width: int, heads: int) -> Iterator[str]:
    yield f"Split s{i} 1 2 x{i} x{i}a x{i}b"
    yield f"LayerNorm n{i} 1 1 x{i}a n{i} 0={width} 1=1.000000e-06 2=1"
    yield f"Split t{i} 1 3 n{i} n{i}a n{i}b n{i}c"
    yield f"MultiHeadAttention m{i} 3 1 n{i}a n{i}b n{i}c m{i} 0={width} 1={heads} 2={width * width}"
    yield f"BinaryOp y{i} 2 1 x{i}b m{i} y{i} 0=0"
    yield f"Split u{i} 1 2 y{i} y{i}a y{i}b"
    yield f"LayerNorm o{i} 1 1 y{i}a o{i} 0={width} 1=1.000000e-06 2=1"
    yield _dense(f"d{i}", f"o{i}", width, 4 * width)
    yield f"GELU g{i} 1 1 d{i} g{i} 0=1"
    yield _dense(f"e{i}", f"g{i}", 4 * width, width)
    yield f"BinaryOp x{i + 1} 2 1 y{i}b e{i} x{i + 1} 0=0"


def _dense(name: str, source: str, inputs: int, outputs: int) -> str:
    return f"Gemm {name} 1 1 {source} {name} 3=1 5=1 6=1 8={outputs} 9={inputs} 10=4"
