"""Fused attention: head dimensions of queries and keys go together, those of values with the output, heads with all."""

import math

import numpy as np

from galen.ir.coupling.axes import Axes, Ids
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule


def couple_attention(axes: Axes) -> None:
    """Tie Q, K, V and Y, `[B, heads, T, size]` each, or `[B, T, heads * size]` with the heads as attributes.

    A key head serves several consecutive query heads (grouped queries). Caches of earlier keys and values stay whole.
    """
    ranks = {len(axes.input_dims(index) or ()) for index in range(3)}
    caches = any(value is not None for value in axes.node.inputs[4:]) or any(v.uses() for v in axes.node.outputs[1:])
    if caches or ranks not in ({3}, {4}):
        return
    axes.tie(axes.input(0, 0), axes.output(0, 0))
    for index in (1, 2):
        axes.tie(axes.input(index, 0), axes.output(0, 0))
    if ranks == {4}:
        _couple_heads_apart(axes)
    else:
        _couple_heads_merged(axes)


def _couple_heads_apart(axes: Axes) -> None:
    axes.tie(axes.input(0, 2), axes.output(0, 2))
    axes.tie(axes.sum_over(0, 3), axes.sum_over(1, 3))
    axes.tie(axes.input(2, 3), axes.output(0, 3))
    queries, keys, values = (axes.input(index, 1) for index in range(3))
    axes.tie(queries, axes.output(0, 1))
    axes.tie(keys, values)
    if len(keys) and len(queries) > len(keys):
        axes.tie(queries, np.repeat(keys, len(queries) // len(keys)))
    elif len(keys):
        axes.tie(queries, keys)
    else:
        axes.freeze(queries, f"{axes.label} has one key head")
    axes.heads.append(queries)
    mask = axes.input_dims(3)
    if mask is not None and len(mask) > 2 and mask[-3] != 1:
        axes.tie(axes.input(3, -3), queries)


def _couple_heads_merged(axes: Axes) -> None:
    heads = [axes.attribute(name) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads", "q_num_heads")]
    axes.tie(axes.input(0, 1), axes.output(0, 1))
    query, key = _by_head(axes.sum_over(0, 2), heads[0]), _by_head(axes.sum_over(1, 2), heads[1])
    value, output = _by_head(axes.input(2, 2), heads[2]), _by_head(axes.output(0, 2), heads[3])
    for first, *others in ((*query, *key), (*output, *value)):
        for other in others:
            axes.tie(first, other)


def _by_head(ids: Ids, heads: int) -> Ids:
    return ids.reshape(heads, -1)


def rewrite_attention(rewriter: Rewriter) -> None:
    """Keep the scale of the head size before the cut, and count merged heads as before (sizes shrink, not heads)."""
    last = rewriter.input_rank(0) - 1
    if rewriter.input(0, last) is not None and not rewriter.attribute("scale", 0.0):
        heads = rewriter.attribute("q_num_heads", 0) or 1
        rewriter.set_attribute("scale", 1 / math.sqrt(rewriter.input_length(0, last) / heads))


def couple_rotary(axes: Axes) -> None:
    """Tie the two dimensions that an angle turns: halves, or neighbours when interleaved; X `[B, heads, T, size]`."""
    dims, cosine = axes.input_dims(0), axes.input_dims(1)
    if dims is None or cosine is None or len(dims) != 4 or axes.attribute("rotary_embedding_dim", 0):
        return
    for axis in range(3):
        axes.tie(axes.input(0, axis), axes.output(0, axis))
    pairs = axes.input(0, 3)
    axes.tie(pairs, axes.output(0, 3))
    pairs = pairs.reshape(-1, 2).T if axes.attribute("interleaved", 0) else pairs.reshape(2, -1)
    for cache in (1, 2):
        for side in pairs:
            axes.tie(side, axes.input(cache, -1))


RULES = {"Attention": Rule(couple_attention, rewrite_attention), "RotaryEmbedding": Rule(couple_rotary)}
