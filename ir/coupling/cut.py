"""What is left of every axis after channels were chosen: plain data, valid for any copy of the analysed model."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cut:
    """Kept indices by (name of value, axis), ascending; what is not listed is whole.

    Attributes:
        axes: the kept indices. A constant that several nodes share is listed once per use (`name@consumer:input`).
        groups: kept channels by group name.
    """

    axes: Mapping[str, Mapping[int, NDArray[np.int64]]] = field(default_factory=dict)
    groups: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    def then(self, later: "Cut") -> "Cut":
        """Return the cut that does what this one and then `later`, made for the model it leaves, do.

        Groups of `later` that are cut again are named as they are after this one.
        """
        axes = {value: dict(by_axis) for value, by_axis in self.axes.items()}
        for value, by_axis in later.axes.items():
            mine = axes.setdefault(value, {})
            for axis, kept in by_axis.items():
                mine[axis] = mine[axis][kept] if axis in mine else kept
        groups = dict(self.groups)
        for name, kept in later.groups.items():
            groups[name] = groups[name][kept] if name in groups else kept
        return Cut(axes, groups)

    def __bool__(self) -> bool:
        return bool(self.axes)

    def kept(self, value: str, axis: int) -> NDArray[np.int64] | None:
        """Return the original indices that remain of an axis of the value of that name, None when it is whole."""
        return self.axes.get(value, {}).get(axis)

    def touches(self, value: str) -> bool:
        """Return whether any axis of the value of that name is cut."""
        return value in self.axes
