"""Sensitivity heat map: layers down, parameters and their ratios across, KL divergence as colour."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from galen.report.words import short_names

CELL, ROW, LEFT, TOP, GAP = 24, 18, 190, 44, 22
FLOOR = 1e-4  # divergences below this look the same


@dataclass(frozen=True)
class Cell:
    """One evaluation: `strength` from 0 to 100 on a logarithmic scale."""

    x: int
    y: int
    strength: int
    tip: tuple[str, ...]


@dataclass(frozen=True)
class Heat:
    """The chart in pixels; `heads` are the parameters with the x where their block begins."""

    cells: tuple[Cell, ...]
    rows: tuple[tuple[int, str], ...]
    heads: tuple[tuple[int, str], ...]
    highest: float
    width: int
    height: int
    floor: float = FLOOR


def heat(curves: Mapping[str, Mapping[str, tuple[float, ...]]]) -> Heat | None:
    """Lay out divergences by layer and parameter, at rising ratios; None when there are none."""
    layers = {name: each for name, each in curves.items() if each}
    if not layers:
        return None
    parameters = list(dict.fromkeys(name for each in layers.values() for name in each))
    longest = max(len(values) for each in layers.values() for values in each.values())
    starts = {name: LEFT + index * (longest * CELL + GAP) for index, name in enumerate(parameters)}
    highest = max((v for each in layers.values() for values in each.values() for v in values), default=0.0)
    cells = tuple(
        Cell(
            x=starts[name] + column * CELL,
            y=TOP + row * ROW,
            strength=_strength(value, highest),
            tip=(layer, f"{name.replace('_', ' ')} at ratio {column / 10:.1f}", f"KL {value:.3g}"),
        )
        for row, (layer, each) in enumerate(layers.items())
        for name, values in each.items()
        for column, value in enumerate(values)
    )
    names = short_names(list(layers))
    return Heat(
        cells=cells,
        rows=tuple((TOP + row * ROW, name) for row, name in enumerate(names)),
        heads=tuple((start, name.replace("_", " ")) for name, start in starts.items()),
        highest=highest,
        width=LEFT + len(parameters) * (longest * CELL + GAP),
        height=TOP + len(layers) * ROW + 8,
    )


def _strength(value: float, highest: float) -> int:
    if value <= FLOOR or highest <= FLOOR:
        return 0
    return round(100 * math.log(value / FLOOR) / math.log(highest / FLOOR))
