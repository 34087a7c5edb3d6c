"""Which factor a merged axis follows, where more than one could be cut.

A flat axis of 3 x heads x head size can lose head dimensions or heads, not both at once. What is frozen anyway decides
first, as often as it leaves one factor; of the rest the earliest merged axis follows its innermost factor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from galen.ir.coupling.axes import Axes, Choice, Ids
from galen.ir.coupling.components import any_of, components


@dataclass(frozen=True)
class Decision:
    """What follows from the choices: more ties, more frozen ids with reasons."""

    ties: list[tuple[Ids, Ids]] = field(default_factory=list)
    frozen: list[tuple[Ids, str]] = field(default_factory=list)


def decide(axes: Axes, prefer: Sequence[Ids] = ()) -> Decision:
    """Settle every choice of `axes`, for a factor that is tied to one of `prefer` where it can be cut."""
    decision = Decision()
    if not axes.choices:
        return decision
    label = components(axes.slots.values(), axes.ties)
    stays = np.zeros(axes.size, bool)
    for ids, _ in axes.frozen:
        stays[ids] = True
    dead = any_of(label, stays)
    wanted = _wanted(axes.choices, label, prefer)
    pending = list(axes.choices)
    while pending:
        options = [_options(choice, label, dead) for choice in pending]
        settled = [i for i, left in enumerate(options) if len(left) < 2] or [0]
        for i in settled:
            preferred = [factor for factor in options[i] if wanted[label[pending[i].factors[factor]]].any()]
            for ids in _settle(pending[i], preferred or options[i], decision):
                dead[label[ids]] = True
        pending = [choice for i, choice in enumerate(pending) if i not in settled]
    return decision


def _wanted(choices: Sequence[Choice], label: Ids, prefer: Sequence[Ids]) -> NDArray[np.bool_]:
    """Return which components are preferred. Of an axis that is, made of factors that are not, the first one is.

    Query heads that are key heads times repetitions go with their key head, which saves more.
    """
    wanted = np.zeros(int(label.max(initial=-1)) + 1, bool)
    for ids in prefer:
        wanted[label[ids]] = True
    for choice in reversed(choices):
        factors = [ids for ids in choice.factors if len(ids)]
        if wanted[label[choice.flat]].any() and not any(wanted[label[ids]].any() for ids in factors):
            wanted[label[factors[0]]] = True
    return wanted


def _options(choice: Choice, label: Ids, dead: NDArray[np.bool_]) -> list[int]:
    """Return the factors of which some index is frozen neither itself nor anywhere in the flat axis."""
    return [
        number
        for number, ids in enumerate(choice.factors)
        if len(ids) and not (dead[label[ids]] | dead[label[choice.along(number)]].any(axis=1)).all()
    ]


def _settle(choice: Choice, options: list[int], decision: Decision) -> list[Ids]:
    """Tie the flat axis to one factor and freeze the others; return what was frozen."""
    live = options[-1] if options else None
    held = [ids for number, ids in enumerate(choice.factors) if number != live]
    if live is None:
        held.append(choice.flat)
    else:
        along = choice.along(live)
        decision.ties.append((along.ravel(), np.repeat(choice.factors[live], along.shape[1])))
    decision.frozen.extend((ids, choice.reason) for ids in held if len(ids))
    return held
