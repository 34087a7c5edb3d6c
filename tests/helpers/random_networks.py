"""Random networks from the operators that coupling knows: a program of small numbers, decoded into an ONNX graph."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

Gene = tuple[int, int, int]
"""Which operator, and two numbers that it makes of what it likes."""

HEIGHT = 4


@dataclass
class Builder:
    """A graph under construction: feature maps `[2, channels, 4, 4]` by name, to be taken up by later operators."""

    rng: np.random.Generator
    maps: list[tuple[str, int]] = field(default_factory=lambda: [("x", 3)])
    nodes: list[object] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape: int) -> str:
        return self.constant((self.rng.standard_normal(shape) / np.sqrt(max(np.prod(shape[1:]), 1))).astype(np.float32))

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def node(self, op: str, inputs: Sequence[str], outputs: int = 1, **attributes: object) -> str:
        names = [f"v{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=f"n{len(self.nodes)}", **attributes))
        return names[0]

    def conv(self, x: str, i: int, o: int, kernel: int = 1, group: int = 1) -> str:
        pads = [kernel // 2] * 4
        return self.node(
            "Conv", [x, self.weight(o, i // group, kernel, kernel), self.weight(o)], group=group, pads=pads
        )

    def pick(self, number: int) -> tuple[str, int]:
        return self.maps[number % len(self.maps)]


def _conv(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    o = (4, 6, 8, 12)[q % 4]
    return b.conv(x, c, o, 1 + 2 * (q % 2)), o


def _grouped(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    group = (1, 2, 3, 4)[q % 4]
    group = group if c % group == 0 else 1
    return b.conv(x, c, 2 * c, 3, group), 2 * c


def _depthwise(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    o = c * (1 + q % 2)
    return b.conv(x, c, o, 3, c), o


def _transposed(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    group = 2 if q % 3 == 0 and c % 2 == 0 else c if q % 3 == 1 else 1
    o = 2 * (1 + q % 2)
    return b.node("ConvTranspose", [x, b.weight(c, o, 3, 3), b.weight(o * group)], group=group, pads=[1] * 4), o * group


def _unary(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    return b.node(("Relu", "Sigmoid", "Tanh", "HardSwish", "Neg", "Softplus")[q % 6], [x]), c


def _norm(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    if q % 3 == 0:
        spread = b.constant((0.5 + b.rng.random(c)).astype(np.float32))
        return b.node("BatchNormalization", [x, b.weight(c), b.weight(c), b.weight(c), spread]), c
    if q % 3 == 1:
        return b.node("InstanceNormalization", [x, b.weight(c), b.weight(c)]), c
    group = next(g for g in (4, 3, 2, 1) if c % g == 0)
    flat = b.node("Reshape", [x, b.ints(0, group, -1)])
    flat = b.node("InstanceNormalization", [flat, b.weight(group), b.weight(group)])
    return b.node("Reshape", [flat, b.ints(2, c, HEIGHT, HEIGHT)]), c


def _layer_norm(b: Builder, p: int, _: int) -> tuple[str, int]:
    x, c = b.pick(p)
    last = b.node("Transpose", [x], perm=[0, 2, 3, 1])
    last = b.node("LayerNormalization", [last, b.weight(c), b.weight(c)])
    return b.node("Transpose", [last], perm=[0, 3, 1, 2]), c


def _add(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    same = [name for name, width in b.maps if width == c]
    return b.node(("Add", "Mul", "Sub", "Max")[q % 4], [x, same[q % len(same)]]), c


def _broadcast(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    return b.node(("Mul", "Add")[q % 2], [x, b.weight(*((c, 1, 1), (1, 1, 1), (1, c, 1, 1), (HEIGHT,))[q % 4])]), c


def _concat(b: Builder, p: int, q: int) -> tuple[str, int]:
    parts = [b.pick(p), b.pick(q), b.pick(p + q)][: 2 + q % 2]
    return b.node("Concat", [name for name, _ in parts], axis=1), sum(c for _, c in parts)


def _split(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    if c % 2 or c < 4:
        return x, c
    first = b.node("Split", [x, b.ints(c // 2, c // 2)], outputs=2, axis=1)
    second = first.replace("_0", "_1")
    if q % 2:
        return b.node("Mul", [first, b.node("Sigmoid", [second])]), c // 2
    b.maps.append((second, c // 2))
    return first, c // 2


def _slice(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    if c < 4:
        return x, c
    step = 2 if q % 3 == 2 and c > 4 else 1
    start = q % 2
    picked = len(range(start, c - 1, step))
    return b.node("Slice", [x, b.ints(start), b.ints(-1), b.ints(1), b.ints(step)]), picked


def _pad(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    before, after = q % 3, p % 3
    return b.node("Pad", [x, b.ints(0, before, 0, 0, 0, after, 0, 0)]), c + before + after


def _gather(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    order = np.roll(np.arange(c), q)[::-1][: max(2, c - q % 3)].astype(np.int64)
    return b.node("Gather", [x, b.constant(order)], axis=1), len(order)


def _shuffle(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    group = next(g for g in ((2, 3, 1), (3, 2, 1))[q % 2] if c % g == 0)
    x = b.node("Reshape", [x, b.ints(0, group, c // group, HEIGHT, HEIGHT)])
    return b.node("Reshape", [b.node("Transpose", [x], perm=[0, 2, 1, 3, 4]), b.ints(0, -1, HEIGHT, HEIGHT)]), c


def _excite(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    pooled = b.node("GlobalAveragePool", [x])
    gate = b.node("Sigmoid", [b.conv(b.node("Relu", [b.conv(pooled, c, 4)]), 4, c)])
    return b.node("Mul", [x, gate]), c


def _depth(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    deep = b.node("SpaceToDepth", [x], blocksize=2)
    deep = b.conv(deep, 4 * c, 8)
    return b.node("DepthToSpace", [deep], blocksize=2, mode=("DCR", "CRD")[q % 2]), 2


def _tokens(b: Builder, p: int, q: int) -> tuple[str, int]:
    """Attention over the pixels, with one projection for queries, keys and values or three."""
    x, c = b.pick(p)
    heads, size = 1 + q % 2, 4
    inner = heads * size
    x = b.node("Transpose", [b.node("Reshape", [x, b.ints(0, 0, -1)])], perm=[0, 2, 1])
    apart = [b.node("MatMul", [x, b.weight(c, inner)]) for _ in range(3)]
    if q % 3:
        fused = b.node("Add", [b.node("MatMul", [x, b.weight(c, 3 * inner)]), b.weight(3 * inner)])
        first = b.node("Split", [fused, b.ints(inner, inner, inner)], outputs=3, axis=2)
        apart = [first.replace("_0", f"_{i}") for i in range(3)]
    shape, orders = b.ints(0, 0, heads, size), ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    query, key, value = (
        b.node("Transpose", [b.node("Reshape", [part, shape])], perm=order)
        for part, order in zip(apart, orders, strict=True)
    )
    weights = b.node("Softmax", [b.node("MatMul", [query, key])], axis=-1)
    y = b.node("Transpose", [b.node("MatMul", [weights, value])], perm=[0, 2, 1, 3])
    y = b.node("MatMul", [b.node("Reshape", [y, b.ints(0, 0, inner)]), b.weight(inner, c)])
    return b.node("Reshape", [b.node("Transpose", [y], perm=[0, 2, 1]), b.ints(0, c, HEIGHT, HEIGHT)]), c


def _recurrent(b: Builder, p: int, q: int) -> tuple[str, int]:
    """A recurrence over the pixels, in one direction or both."""
    x, c = b.pick(p)
    op, gates = (("LSTM", 4), ("GRU", 3), ("RNN", 1))[q % 3]
    both, hidden = 1 + p % 2, 4
    x = b.node("Transpose", [b.node("Reshape", [x, b.ints(0, 0, -1)])], perm=[2, 0, 1])
    weights = [
        b.weight(both, gates * hidden, c),
        b.weight(both, gates * hidden, hidden),
        b.weight(both, 2 * gates * hidden),
    ]
    direction = "bidirectional" if both > 1 else "forward"
    y = b.node(op, [x, *weights], hidden_size=hidden, direction=direction)
    y = b.node("Reshape", [b.node("Transpose", [y], perm=[2, 1, 3, 0]), b.ints(2, both * hidden, HEIGHT, HEIGHT)])
    return y, both * hidden


def _pool(b: Builder, p: int, q: int) -> tuple[str, int]:
    x, c = b.pick(p)
    op = ("MaxPool", "AveragePool")[q % 2]
    return b.node(op, [x], kernel_shape=[3, 3], pads=[1] * 4), c


def _unknown(b: Builder, p: int, _: int) -> tuple[str, int]:
    """An operator without a rule."""
    x, c = b.pick(p)
    return b.node("LRN", [x], size=3), c


OPERATORS: list[Callable[[Builder, int, int], tuple[str, int]]] = [
    _conv, _conv, _conv, _grouped, _depthwise, _transposed, _unary, _norm, _layer_norm, _add, _add, _broadcast, _concat,
    _split, _slice, _pad, _gather, _shuffle, _excite, _depth, _tokens, _recurrent, _pool, _unknown,
]  # fmt: skip


def network(program: Sequence[Gene], seed: int = 0) -> ModelProto:
    """Return the network that a program describes: input `x` [2, 3, 4, 4], a linear layer on its last map as output."""
    b = Builder(np.random.default_rng(seed))
    for op, p, q in program:
        b.maps.append(OPERATORS[op % len(OPERATORS)](b, p, q))
    name, c = b.maps[-1]
    if len(program) % 2:
        flat, width = b.node("Flatten", [name]), c * HEIGHT * HEIGHT
    else:
        flat, width = b.node("ReduceMean", [name, b.ints(2, 3)], keepdims=0), c
    b.nodes.append(helper.make_node("Gemm", [flat, b.weight(5, width), b.weight(5)], ["y"], name="head", transB=1))
    shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3, HEIGHT, HEIGHT])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 5])
    graph = helper.make_graph(b.nodes, "random", [shape], [out], b.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
