"""From ids to channels to groups: connected components of tied ids, those of one kind together."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from galen.ir import Node
from galen.ir.coupling.axes import NONE, Axes, Ids
from galen.ir.coupling.channels import Coupling, Frozen, Group, Member, Weight
from galen.ir.coupling.components import any_of, components
from galen.ir.coupling.factor_choice import Decision, decide
from galen.ir.coupling.operands import operand_key

_SINGLE = "is the only channel of its kind"


def find_groups(axes: Axes, prefer: Sequence[Ids] = ()) -> Coupling:
    """Draw the conclusion from what the rules said; of several factors that can be cut take one of `prefer`."""
    decision = decide(axes, prefer)
    slots = list(axes.slots.values())
    label = components(slots, [*axes.ties, *decision.ties])
    frozen = any_of(label, _flags(axes.size, [ids for ids, _ in (*axes.frozen, *decision.frozen)]))
    started = any_of(label, _flags(axes.size, [ids for _, ids in axes.starts]))
    owner = np.repeat(np.arange(len(slots)), [slot.size for slot in slots])
    kinds = _kinds(label, owner, started & ~frozen)
    kind = kinds[label]
    sizes = np.bincount(kinds[kinds >= 0]).tolist()
    groups = _groups(axes, label, owner, kind, sizes)
    return Coupling(groups, _explain(axes, decision, label, kind), _weights(axes))


def node_name(node: Node) -> str:
    """Return a node's name, that of its first output where it has none."""
    return node.name or str(node.outputs[0].name)


def _flags(size: int, parts: list[Ids]) -> NDArray[np.bool_]:
    flags = np.zeros(size, bool)
    flags[np.concatenate([NONE, *parts])] = True
    return flags


def _kinds(label: Ids, owner: Ids, cuttable: NDArray[np.bool_]) -> Ids:
    """Return the kind of every component, -1 where it cannot be cut or is the only one of its kind.

    Components are of one kind when they have the same number of ids in the same axes (`owner` says which axis an id
    is of); compared by a 64-bit hash.
    """
    salt = _scramble(np.arange(1, int(owner.max(initial=-1)) + 2, dtype=np.uint64))
    total = np.zeros(len(cuttable), np.uint64)
    np.add.at(total, label, salt[owner])
    kind = np.full(len(cuttable), -1)
    _, kind[cuttable], sizes = np.unique(total[cuttable], return_inverse=True, return_counts=True)
    kind[cuttable] = np.where(sizes[kind[cuttable]] > 1, kind[cuttable], -1)
    return kind


def _scramble(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix bits (the finaliser of SplitMix64, Steele et al. 2014, figure 1)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _groups(axes: Axes, label: Ids, owner: Ids, kind: Ids, sizes: Sequence[int]) -> tuple[Group, ...]:
    """Return the groups in order of their first producer.

    `label`, `owner` and `kind` are those of every id, `sizes` the number of channels by kind.
    """
    first, place = _first_start(axes, label)
    slots = list(axes.slots.values())
    ids = np.flatnonzero(kind >= 0)
    keys = kind[ids] * len(slots) + owner[ids]
    rank = np.argsort(keys * (int(place.max(initial=0)) + 1) + place[ids], kind="stable")
    ids, keys = ids[rank], keys[rank]
    places = ids - np.array([slot.start for slot in slots], np.int64)[owner[ids]]
    bounds = np.flatnonzero(np.diff(keys, prepend=-1, append=-1))
    members: dict[int, list[Member]] = {}
    origin: dict[int, tuple[int, int]] = {}
    same: dict[tuple[int, bytes], Ids] = {}
    runs = zip(pairwise(bounds.tolist()), keys[bounds[:-1]].tolist(), strict=True)
    for (start, end), key in runs:
        number, slot = divmod(key, len(slots))
        if number not in members:
            members[number] = []
            origin[number] = int(first[ids[start]]), int(place[ids[start]])
        form = number, places[start:end].tobytes()
        if (index := same.get(form)) is None:
            index = same[form] = places[start:end].reshape(sizes[number], -1)
        members[number].append(Member(slots[slot].key, slots[slot].axis, slots[slot].size, index))
    return _named(axes, kind, members, origin)


def _first_start(axes: Axes, label: Ids) -> tuple[Ids, Ids]:
    """Return per id the number of the first node that starts its component, and its lowest place on that node's axis.

    Both are -1 where nothing starts it.
    """
    count = int(label.max(initial=-1)) + 1
    first, place = np.full(count, -1), np.full(count, -1)
    backwards = [ids[::-1] for _, ids in axes.starts][::-1]  # of several that are assigned the last one stays
    lengths = np.array([len(ids) for ids in backwards], np.int64)
    channel = label[np.concatenate([NONE, *backwards])]
    first[channel] = np.repeat(np.arange(len(lengths))[::-1], lengths)
    place[channel] = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(channel)) - 1
    return first[label], place[label]


def _named(
    axes: Axes, kind: Ids, members: dict[int, list[Member]], origin: dict[int, tuple[int, int]]
) -> tuple[Group, ...]:
    producers: dict[int, list[str]] = defaultdict(list)
    for node, ids in axes.starts:
        for number in set(kind[ids].tolist()):
            producers[number].append(node_name(node))
    order = sorted(members, key=lambda number: origin[number])
    heads = [origin[number][0] for number in order]
    groups = []
    for number in order:
        start, _ = origin[number]
        node, ids = axes.starts[start]
        name = node_name(node)
        if heads.count(start) > 1:
            name += f"[{_ranges(np.flatnonzero(kind[ids] == number))}]"
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
    held = [(ids, number) for number, (ids, _) in enumerate(reasons)][::-1]
    reason = np.full(int(label.max(initial=-1)) + 1, -1)
    reason[label[np.concatenate([NONE, *(ids for ids, _ in held)])]] = np.repeat(
        [number for _, number in held], [len(ids) for ids, _ in held]
    )
    found = []
    for node, ids in axes.starts:
        staying = ids[kind[ids] < 0]
        if len(staying):
            why, counts = np.unique(reason[label[staying]], return_counts=True)
            for number, count in zip(why.tolist(), counts.tolist(), strict=True):
                found.append(Frozen(node_name(node), count, reasons[number][1] if number >= 0 else _SINGLE))
    return tuple(found)


def _weights(axes: Axes) -> tuple[Weight, ...]:
    return tuple(
        Weight(node_name(at.node), at.node.op_type, operand_key(at.node, at.weight), at.weight, at.out_axis, at.in_axis)
        for at in axes.layers
    )
