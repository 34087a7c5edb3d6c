"""From ids to channels to groups: connected components of tied ids, those of one kind together."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from galen.ir import Node
from galen.ir.coupling.axes import Axes, Ids, operand_key
from galen.ir.coupling.channels import Coupling, Frozen, Group, Member, Weight
from galen.ir.coupling.components import any_of, components
from galen.ir.coupling.factor_choice import Decision, decide

_SINGLE = "is the only channel of its kind"


def find_groups(axes: Axes, prefer: Sequence[Ids] = ()) -> Coupling:
    """Draw the conclusion from what the rules said; of several factors that can be cut take one of `prefer`."""
    decision = decide(axes, prefer)
    label = components(axes.slots.values(), [*axes.ties, *decision.ties])
    frozen = any_of(label, _flags(axes.size, [ids for ids, _ in (*axes.frozen, *decision.frozen)]))
    started = any_of(label, _flags(axes.size, [ids for _, ids in axes.starts]))
    kind = _kinds(axes, label, started & ~frozen)
    groups = _groups(axes, label, kind)
    return Coupling(groups, _explain(axes, decision, label, kind), _weights(axes))


def node_name(node: Node) -> str:
    """Return a node's name, that of its first output where it has none."""
    return node.name or str(node.outputs[0].name)


def _flags(size: int, parts: list[Ids]) -> NDArray[np.bool_]:
    flags = np.zeros(size, bool)
    for ids in parts:
        flags[ids] = True
    return flags


def _kinds(axes: Axes, label: Ids, cuttable: NDArray[np.bool_]) -> Ids:
    """Return the kind of every component, -1 where it cannot be cut or is the only one of its kind.

    Components are of one kind when they have the same number of ids in the same axes; compared by a 64-bit hash.
    """
    salt = _scramble(np.arange(1, len(axes.slots) + 1, dtype=np.uint64))
    total = np.zeros(len(cuttable), np.uint64)
    np.add.at(total, label, salt[_owners(axes)])
    kind = np.full(len(cuttable), -1)
    _, kind[cuttable], sizes = np.unique(total[cuttable], return_inverse=True, return_counts=True)
    kind[cuttable] = np.where(sizes[kind[cuttable]] > 1, kind[cuttable], -1)
    return kind


def _scramble(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix bits (the finaliser of SplitMix64, Steele et al. 2014, figure 1)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _owners(axes: Axes) -> Ids:
    """Return the number of the slot that every id belongs to."""
    return np.repeat(np.arange(len(axes.slots)), [slot.size for slot in axes.slots.values()])


def _groups(axes: Axes, label: Ids, kind: Ids) -> tuple[Group, ...]:
    """Return the groups in order of their first producer."""
    first, place = _first_start(axes, label, len(kind))
    owner, slots = _owners(axes), list(axes.slots.values())
    ids = np.flatnonzero(kind[label] >= 0)
    kinds = kind[label[ids]]
    keys = kinds * len(slots) + owner[ids]
    rank = np.argsort(keys * (int(place.max(initial=0)) + 1) + place[label[ids]], kind="stable")
    ids, keys = ids[rank], keys[rank]
    sizes = np.bincount(kind[kind >= 0], minlength=1)
    members: dict[int, list[Member]] = defaultdict(list)
    origin: dict[int, tuple[int, int]] = {}
    for start, end in pairwise(np.flatnonzero(np.diff(keys, prepend=-1, append=-1)).tolist()):
        number, slot = divmod(int(keys[start]), len(slots))
        found = slots[slot]
        places = (ids[start:end] - found.start).reshape(int(sizes[number]), -1)
        members[number].append(Member(found.key, found.axis, found.size, places))
        channel = label[ids[start]]
        origin[number] = int(first[channel]), int(place[channel])
    return _named(axes, label, kind, members, origin)


def _first_start(axes: Axes, label: Ids, count: int) -> tuple[Ids, Ids]:
    """Return per component the number of the first node that starts it, and its lowest place on that node's axis."""
    first, place = np.full(count, -1), np.full(count, -1)
    for number, (_, ids) in reversed(list(enumerate(axes.starts))):
        first[label[ids]] = number
        place[label[ids[::-1]]] = np.arange(len(ids))[::-1]
    return first, place


def _named(
    axes: Axes, label: Ids, kind: Ids, members: dict[int, list[Member]], origin: dict[int, tuple[int, int]]
) -> tuple[Group, ...]:
    producers: dict[int, list[str]] = defaultdict(list)
    for node, ids in axes.starts:
        for number in np.flatnonzero(np.bincount(kind[label[ids]] + 1)[1:]).tolist():
            producers[number].append(node_name(node))
    order = sorted(members, key=lambda number: origin[number])
    heads = [origin[number][0] for number in order]
    groups = []
    for number in order:
        start, _ = origin[number]
        node, ids = axes.starts[start]
        name = node_name(node)
        if heads.count(start) > 1:
            name += f"[{_ranges(np.flatnonzero(kind[label[ids]] == number))}]"
        groups.append(
            Group(name, len(members[number][0].index), tuple(dict.fromkeys(producers[number])), tuple(members[number]))
        )
    return tuple(groups)


def _ranges(places: Ids) -> str:
    """Return ascending numbers as text: `0:16,32`."""
    runs = np.split(places, np.flatnonzero(np.diff(places) != 1) + 1)
    return ",".join(f"{run[0]}:{run[-1] + 1}" if len(run) > 1 else str(run[0]) for run in runs)


def _explain(axes: Axes, decision: Decision, label: Ids, kind: Ids) -> tuple[Frozen, ...]:
    """Return what stays of every layer that starts channels, with the first reason that was given for it."""
    reasons = [*axes.frozen, *decision.frozen]
    reason = np.full(len(kind), -1)
    for number, (ids, _) in reversed(list(enumerate(reasons))):
        reason[label[ids]] = number
    found = []
    for node, ids in axes.starts:
        why, counts = np.unique(reason[label[ids[kind[label[ids]] < 0]]], return_counts=True)
        for number, count in zip(why.tolist(), counts.tolist(), strict=True):
            found.append(Frozen(node_name(node), count, reasons[number][1] if number >= 0 else _SINGLE))
    return tuple(found)


def _weights(axes: Axes) -> tuple[Weight, ...]:
    return tuple(
        Weight(node_name(at.node), at.node.op_type, operand_key(at.node, at.weight), at.weight, at.out_axis, at.in_axis)
        for at in axes.layers
    )
