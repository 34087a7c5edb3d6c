"""What onnxruntime fuses (`com.microsoft`): each operator follows the standard ones that it is made of.

Attention with caches, block-quantized weights and blocked layouts have no rule: what they touch stays.
"""

import math

from galen.ir.coupling.axes import Axes, Ids
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule
from galen.ir.coupling.rules.attention import Heads, couple_bias, couple_merged, heads_left
from galen.ir.coupling.rules.convolution import couple_channels, rewrite_group
from galen.ir.coupling.rules.elementwise import couple_broadcast_axes, couple_elementwise
from galen.ir.coupling.rules.linear import couple_fused_matmul, couple_gemm
from galen.ir.coupling.rules.pooling import couple_pool
from galen.ir.coupling.rules.quantization import couple_quantize


def couple_skip_norm(axes: Axes) -> None:
    """Tie X `[B, T, D]`, the skip (broadcast), the sum of both (output 3) and the vectors of D that follow."""
    last = len(axes.input_dims(0) or ()) - 1
    if last < 0 or axes.output_dims(0) is None:
        return
    for axis in range(last + 1):
        axes.tie((axes.reduce if axis == last else axes.input)(0, axis), axes.output(0, axis))
        if len(axes.node.outputs) > 3:
            axes.tie(axes.output(3, axis), axes.output(0, axis))
    axes.reduce(1, -1)
    for index in range(1, len(axes.node.inputs)):
        couple_broadcast_axes(axes, index)


def couple_fused_conv(axes: Axes) -> None:
    """Tie a convolution; Z (input 3) is added to its output."""
    couple_channels(axes)
    couple_broadcast_axes(axes, 3)


def couple_quantized_binary(axes: Axes) -> None:
    """Tie A and B at 0 and 3 (broadcast) with Y; their scales and zero points are per tensor."""
    couple_broadcast_axes(axes, 0)
    couple_broadcast_axes(axes, 3)


def couple_quantized_unary(axes: Axes) -> None:
    """Tie X with Y; scales and zero points are per tensor."""
    couple_broadcast_axes(axes, 0)


def couple_quantized_pool(axes: Axes) -> None:
    """Tie batch and channels of X and Y, channels first."""
    if not axes.attribute("channels_last", 0):
        couple_pool(axes)


def couple_self_attention(axes: Axes) -> None:
    """Tie X `[B, T, D]`, W `[D, Q + K + V]`, its bias and Y `[B, T, V]`; mask, cache and bias of scores at 3, 4, 5."""
    cached = _given(axes, 4) or _given(axes, 6) or any(value.uses() for value in axes.node.outputs[1:])
    dims = axes.input_dims(1)
    if cached or dims is None or axes.attribute("do_rotary", 0) or not isinstance(dims[1], int):
        return
    for axis in (0, 1):
        axes.tie(axes.input(0, axis), axes.output(0, axis))
    axes.tie(axes.sum_over(0, 2), axes.input(1, 0))
    columns = axes.sum_over(1, 1)
    axes.start(columns)
    axes.layer(1, 1, 0)
    if _given(axes, 2):
        axes.tie(axes.sum_over(2, 0), columns)
    q, k, _ = axes.attribute("qkv_hidden_sizes") or [dims[1] // 3] * 3
    heads = axes.attribute("num_heads")
    flat = columns[:q], columns[q : q + k], columns[q + k :], axes.output(0, 2)
    couple_bias(axes, 5, couple_merged(axes, Heads(heads, heads), flat))


def rewrite_self_attention(rewriter: Rewriter) -> None:
    """Give the sizes of Q, K and V that remain, the number of heads, and the scale from before the cut."""
    kept, length, heads = rewriter.input(1, 1), rewriter.input_length(1, 1), rewriter.attribute("num_heads")
    if kept is None:
        return
    q, k, v = rewriter.attribute("qkv_hidden_sizes") or [length // 3] * 3
    parts = [kept[kept < q], kept[(kept >= q) & (kept < q + k)], kept[kept >= q + k]]
    rewriter.set_attribute("qkv_hidden_sizes", [len(part) for part in parts])
    rewriter.set_attribute("num_heads", len(set(((parts[2] - q - k) // (v // heads)).tolist())))
    _keep_scale(rewriter, q // heads)


def couple_cross_attention(axes: Axes) -> None:
    """Tie Q, K, V and Y `[B, T, heads * size]` and their joint bias at 3; masks at 4 and 5, caches from 6 on."""
    cached = any(_given(axes, index) for index in range(6, 10)) or any(v.uses() for v in axes.node.outputs[1:])
    if cached or {len(axes.input_dims(index) or ()) for index in range(3)} != {3}:
        return
    heads = axes.attribute("num_heads")
    flat = axes.sum_over(0, 2), axes.sum_over(1, 2), axes.input(2, 2), axes.output(0, 2)
    queries = couple_merged(axes, Heads(heads, heads), flat)
    for index in range(3):
        axes.tie(axes.input(index, 0), axes.output(0, 0))
    axes.tie(axes.input(0, 1), axes.output(0, 1))
    if _given(axes, 3):
        _tie_parts(axes, axes.sum_over(3, 0), flat[:3])
    couple_bias(axes, 5, queries)


def rewrite_cross_attention(rewriter: Rewriter) -> None:
    """Count the heads anew and keep the scale from before the cut."""
    heads = rewriter.attribute("num_heads")
    _keep_scale(rewriter, rewriter.input_length(0, 2) // heads)
    rewriter.set_attribute("num_heads", heads_left(rewriter, 2, heads))


def _given(axes: Axes, index: int) -> bool:
    return index < len(axes.node.inputs) and axes.node.inputs[index] is not None


def _tie_parts(axes: Axes, whole: Ids, parts: tuple[Ids, ...]) -> None:
    start = 0
    for part in parts:
        axes.tie(whole[start : start + len(part)], part)
        start += len(part)


def _keep_scale(rewriter: Rewriter, size: int) -> None:
    if not rewriter.attribute("scale", 0.0):
        rewriter.set_attribute("scale", 1 / math.sqrt(size))


RULES = {
    **dict.fromkeys(("BiasGelu", "FastGelu", "QuickGelu", "Gelu"), Rule(couple_elementwise)),
    **dict.fromkeys(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"), Rule(couple_skip_norm)),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), Rule(couple_quantize)),
    **dict.fromkeys(("QLinearAdd", "QLinearMul"), Rule(couple_quantized_binary)),
    **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu"), Rule(couple_quantized_unary)),
    **dict.fromkeys(("QLinearAveragePool", "QLinearGlobalAveragePool"), Rule(couple_quantized_pool)),
    "FusedConv": Rule(couple_fused_conv, rewrite_group),
    "FusedGemm": Rule(couple_gemm),
    "FusedMatMul": Rule(couple_fused_matmul),
    "Attention": Rule(couple_self_attention, rewrite_self_attention),
    "MultiHeadAttention": Rule(couple_cross_attention, rewrite_cross_attention),
}
