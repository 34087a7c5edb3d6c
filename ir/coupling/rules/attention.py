"""Fused attention: head dimensions of queries and keys go together, those of values with the output, heads with all."""

import math
from dataclasses import dataclass

import numpy as np

from galen.ir.coupling.axes import Axes, Ids
from galen.ir.coupling.rewriter import Rewriter
from galen.ir.coupling.rule import Rule


@dataclass(frozen=True)
class Heads:
    """The numbers of heads; a key head serves several consecutive query heads (grouped queries)."""

    queries: int
    keys: int


def couple_attention(axes: Axes) -> None:
    """Tie Q, K, V and Y, `[B, heads, T, size]` each, or `[B, T, heads * size]` with the heads as attributes.

    Caches of earlier keys and values stay whole.
    """
    ranks = {len(axes.input_dims(index) or ()) for index in range(3)}
    caches = any(value is not None for value in axes.node.inputs[4:]) or any(v.uses() for v in axes.node.outputs[1:])
    if caches or ranks not in ({3}, {4}):
        return
    for index in range(3):
        axes.tie(axes.input(index, 0), axes.output(0, 0))
    if ranks == {4}:
        heads = _couple_heads_apart(axes)
    else:
        axes.tie(axes.input(0, 1), axes.output(0, 1))
        flat = axes.sum_over(0, 2), axes.sum_over(1, 2), axes.input(2, 2), axes.output(0, 2)
        heads = couple_merged(axes, Heads(axes.attribute("q_num_heads"), axes.attribute("kv_num_heads")), flat)
    couple_bias(axes, 3, heads)


def _couple_heads_apart(axes: Axes) -> Ids:
    axes.tie(axes.input(0, 2), axes.output(0, 2))
    axes.tie(axes.sum_over(0, 3), axes.sum_over(1, 3))
    axes.tie(axes.input(2, 3), axes.output(0, 3))
    queries, keys, values = (axes.input(index, 1) for index in range(3))
    axes.tie(queries, axes.output(0, 1))
    axes.tie(keys, values)
    _couple_groups(axes, queries, keys)
    return queries


def couple_merged(axes: Axes, heads: Heads, flat: tuple[Ids, Ids, Ids, Ids]) -> Ids:
    """Offer heads and head dimensions of Q, K, V and Y's flat axes `heads * size`; return the ids of query heads."""
    query, key, value, output = flat
    size, value_size = len(query) // heads.queries, len(value) // heads.keys
    queries, keys = axes.inner(heads.queries), axes.inner(heads.keys)
    dims, value_dims = axes.inner(size), axes.inner(value_size)
    _couple_groups(axes, queries, keys)
    axes.choose(query, (queries, dims), (heads.queries, size))
    axes.choose(key, (keys, dims), (heads.keys, size))
    axes.choose(value, (keys, value_dims), (heads.keys, value_size))
    axes.choose(output, (queries, value_dims), (heads.queries, value_size))
    return queries


def _couple_groups(axes: Axes, queries: Ids, keys: Ids) -> None:
    """Tie every key head to its query heads; a single key head serves any number of them."""
    if len(keys):
        axes.tie(queries, np.repeat(keys, len(queries) // len(keys)))
    axes.heads.append(queries)


def couple_bias(axes: Axes, index: int, heads: Ids) -> None:
    """Tie the heads of a mask or bias of scores, `[..., heads, T, T]`, where it has them."""
    dims = axes.input_dims(index)
    if dims is not None and len(dims) > 2 and dims[-3] != 1:
        axes.tie(axes.input(index, -3), heads)


def rewrite_attention(rewriter: Rewriter) -> None:
    """Keep the scale of the head size before the cut, and count merged heads anew."""
    last = rewriter.input_rank(0) - 1
    heads = [rewriter.attribute(name) for name in ("q_num_heads", "kv_num_heads")]
    if not rewriter.attribute("scale", 0.0):
        rewriter.set_attribute("scale", 1 / math.sqrt(rewriter.input_length(0, last) // (heads[0] or 1)))
    if last == 2:
        rewriter.set_attribute("q_num_heads", heads_left(rewriter, 0, heads[0]))
        rewriter.set_attribute("kv_num_heads", heads_left(rewriter, 1, heads[1]))


def heads_left(rewriter: Rewriter, index: int, heads: int) -> int:
    """Return how many heads of the flat last axis of an input have a dimension that stays."""
    kept, length = rewriter.input(index, -1), rewriter.input_length(index, -1)
    return heads if kept is None else len(set((kept // (length // heads)).tolist()))


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
