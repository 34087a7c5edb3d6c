"""The result of coupling: groups of channels that are cut together, and what cannot be cut and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from galen.ir.coupling.axes import Ids
from galen.ir.coupling.cut import Cut


@dataclass(frozen=True)
class Member:
    """An axis of `length` that a group lives in: `index[c]` are the places of channel c, `[size, multiplicity]`."""

    value: str
    axis: int
    length: int
    index: Ids

    def kept(self, removed: NDArray[np.bool_]) -> Ids:
        """Return the places that stay when some channels go, ascending."""
        stays = np.ones(self.length, bool)
        stays[self.index[removed]] = False
        return stays.nonzero()[0]


@dataclass(frozen=True)
class Group:
    """Channels that touch the same axes in the same way: any number of them can be cut, each from all its members.

    Attributes:
        name: its first producer, with the range of its channels where the producer starts several groups.
        size: number of channels.
        producers: the layers that compute it, in order of execution.
        members: every (value, axis) that the channels live in, constants among them.
    """

    name: str
    size: int
    producers: tuple[str, ...]
    members: tuple[Member, ...]


@dataclass(frozen=True)
class Frozen:
    """Channels of a layer that always stay, and why."""

    layer: str
    channels: int
    reason: str


@dataclass(frozen=True)
class Weight:
    """A layer's weight: the name of the operand and its place, its output and its input axis."""

    layer: str
    op: str
    operand: str
    index: int
    out_axis: int
    in_axis: int


@dataclass(frozen=True)
class Coupling:
    """The channel groups of a model in order of execution, and what cannot be cut."""

    groups: tuple[Group, ...]
    frozen: tuple[Frozen, ...]
    weights: tuple[Weight, ...]

    def group(self, name: str) -> Group | None:
        """Return the group of that name."""
        return next((group for group in self.groups if group.name == name), None)

    def cut(self, kept: Mapping[str, Sequence[int] | Ids]) -> Cut:
        """Return the cut that keeps these channels (ascending) of these groups, and all of the others."""
        axes: dict[str, dict[int, Ids]] = {}
        chosen = {name: np.asarray(channels, np.int64) for name, channels in kept.items()}
        for group in self.groups:
            channels = chosen.get(group.name)
            if channels is None or len(channels) == group.size:
                continue
            removed = np.ones(group.size, bool)
            removed[channels] = False
            left: dict[tuple[int, int], Ids] = {}  # most members have the same places, as one array
            for member in group.members:
                form = id(member.index), member.length
                if (stays := left.get(form)) is None:
                    stays = left[form] = member.kept(removed)
                by_axis = axes.setdefault(member.value, {})
                other = by_axis.get(member.axis)
                by_axis[member.axis] = stays if other is None else np.intersect1d(other, stays, assume_unique=True)
        return Cut(axes, chosen)
