"""Operators that ONNX shape inference does not know, as functions of those that it does know.

They are what onnxruntime fuses (`com.microsoft`) and normalisations that ONNX defines as functions. The functions here
have their shapes and compute something else: they are for inference alone.
"""

import itertools
from collections.abc import Iterator

import onnx

_DOMAIN = "galen.shapes"
_OPSET = 18
_CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
_KINDS = {"auto_pad": "string", "group": "int", "transA": "int", "transB": "int"}


def _call(op: str, attributes: tuple[str, ...], inputs: str) -> str:
    """Return the body of a function that hands its attributes and inputs on to one operator."""
    handed = ", ".join(f"{name}: {_KINDS.get(name, 'ints')} = @{name}" for name in attributes)
    return f"<{', '.join(attributes)}> ({inputs}) => (Y) {{ Y = {op} <{handed}> ({inputs}) }}"


def _products() -> dict[str, str]:
    """Return the bodies of FusedMatMul: of A and B last axes, or the first and those of the batch, exchanged."""
    bodies = {}
    for flags in itertools.product((0, 1), repeat=4):
        terms = _term("i", "j", *flags[:2]) + "," + _term("j", "k", *flags[2:])
        name = "Product" + "".join(map(str, flags))
        bodies[name] = f'(A, B) => (Y) {{ Y = Einsum <equation: string = "{terms}->...ik"> (A, B) }}'
    return bodies


def _term(first: str, last: str, exchanged: int, batch: int) -> str:
    if exchanged:
        first, last = last, first
    return f"{first}...{last}" if batch else f"...{first}{last}"


_BODIES = {
    "First": "(X) => (Y) { Y = Identity (X) }",
    "FirstAndSum": "(X) => (Y, M, D, S) { Y = Identity (X)  S = Identity (X) }",
    "Sum": "(A, s, z, B) => (Y) { Y = Add (A, B) }",
    "Conv": _call("Conv", _CONV, "X, W"),
    "Gemm": _call("Gemm", ("transA", "transB"), "A, B"),
    "GlobalPool": "(X) => (Y) { Y = GlobalAveragePool (X) }",
    **_products(),
    "Attention": '(Q, K, V) => (Y) { Y = Einsum <equation: string = "btq,bsv->btv"> (Q, V) }',
    "SelfAttention": "(X, W) => (Y) { Q, K, V = Split <axis: int = 1, num_outputs: int = 3> (W)  Y = MatMul (X, V) }",
    "SelfAttentionOfSizes": "<qkv_hidden_sizes> (X, W) => (Y) { n = Constant <value_ints: ints = @qkv_hidden_sizes> () "
    " Q, K, V = Split <axis: int = 1> (W, n)  Y = MatMul (X, V) }",
}

_LIKE = {
    ("", "GroupNormalization"): "First",
    ("", "MeanVarianceNormalization"): "First",
    ("", "RMSNormalization"): "First",
    ("", "SimplifiedLayerNormalization"): "First",
    **{
        ("com.microsoft", op): name
        for name, ops in {
            "First": "BiasGelu FastGelu QuickGelu Gelu QLinearSigmoid QLinearLeakyRelu",
            "FirstAndSum": "SkipLayerNormalization SkipSimplifiedLayerNormalization",
            "Sum": "QLinearAdd QLinearMul",
            "Conv": "FusedConv",
            "Gemm": "FusedGemm",
            "GlobalPool": "QLinearGlobalAveragePool",
            "Product": "FusedMatMul",
            "Attention": "MultiHeadAttention",
            "SelfAttention": "Attention",
        }.items()
        for op in ops.split()
    },
}


def replace(message: onnx.ModelProto) -> None:
    """Let nodes of these operators call functions that have the same shapes."""
    used = set()
    for node in _nodes(message.graph):
        like = _LIKE.get((node.domain, node.op_type))
        if like is not None and (name := _variant(like, node)) is not None:
            node.domain, node.op_type = _DOMAIN, name
            used.add(name)
    for name in sorted(used):
        text = f'<opset_import: ["" : {_OPSET}], domain: "{_DOMAIN}"> {name} {_BODIES[name]}'
        message.functions.append(onnx.parser.parse_function(text))
    if used:
        message.opset_import.add(domain=_DOMAIN, version=1)


def _variant(like: str, node: onnx.NodeProto) -> str | None:
    """Return the function that fits the attributes and outputs of a node, None when there is none."""
    given: dict[str, int] = {attr.name: attr.i for attr in node.attribute}
    if given.get("channels_last"):
        return None
    if like == "Product":
        flags = (given.get(name, 0) for name in ("transA", "transBatchA", "transB", "transBatchB"))
        return like + "".join(map(str, flags))
    if like == "SelfAttention" and "qkv_hidden_sizes" in given:
        return "SelfAttentionOfSizes"
    return "First" if like == "FirstAndSum" and len(node.output) < 4 else like


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attr in node.attribute:
            for body in [attr.g] if attr.HasField("g") else attr.graphs:
                yield from _nodes(body)
