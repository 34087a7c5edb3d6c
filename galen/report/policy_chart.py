"""The winner's policy per layer, as in the Galen paper's figures: channels kept above, widths below."""

from dataclasses import dataclass

from galen.report.data import Layer, Run
from galen.report.scale import Scale
from galen.report.words import bits, short_names

LEFT, TOP, CHANNELS, GAP, WIDTHS, LABELS = 64, 12, 170, 34, 130, 130
NARROWEST, WIDEST, PAGE = 24, 72, 880  # of a column; columns share the page and scroll beyond it
FLOATS = {16: 10, 32: 12}  # where fp16 and fp32 stand on the axis of widths, above 8
TICKS = (2, 4, 6, 8, 16, 32)


@dataclass(frozen=True)
class Column:
    """One layer: its bars in pixels (tops; they stand on the base lines)."""

    x: float
    label: str
    whole: float
    kept: float
    weight: float
    activation: float
    tip: tuple[str, ...]


@dataclass(frozen=True)
class PolicyChart:
    """The chart in pixels."""

    channels: Scale
    widths: Scale
    width_ticks: tuple[tuple[float, str], ...]
    columns: tuple[Column, ...]
    width: int
    column: int
    height: int = TOP + CHANNELS + GAP + WIDTHS + LABELS


def policy_chart(run: Run) -> PolicyChart:
    """Lay out the policy of the run's best model."""
    channels = Scale(0, max((layer.of for layer in run.layers), default=1) or 1, TOP + CHANNELS, TOP)
    bottom = TOP + CHANNELS + GAP + WIDTHS
    widths = Scale(0, FLOATS[32] + 0.5, bottom, bottom - WIDTHS)
    labels = short_names([layer.name for layer in run.layers])
    column = min(max(PAGE // max(len(run.layers), 1), NARROWEST), WIDEST)
    return PolicyChart(
        channels=channels,
        widths=widths,
        width_ticks=tuple((widths(FLOATS.get(tick, tick)), bits(tick)) for tick in TICKS),
        columns=tuple(
            Column(
                x=LEFT + index * column,
                label=label,
                whole=channels(layer.of),
                kept=channels(layer.keep),
                weight=widths(FLOATS.get(layer.bits.weight_bits, layer.bits.weight_bits)),
                activation=widths(FLOATS.get(layer.bits.activation_bits, layer.bits.activation_bits)),
                tip=_tip(layer),
            )
            for index, (layer, label) in enumerate(zip(run.layers, labels, strict=True))
        ),
        width=LEFT + column * len(run.layers) + 24,
        column=column,
    )


def _tip(layer: Layer) -> tuple[str, ...]:
    return (
        layer.name,
        f"channels {layer.keep} of {layer.of}" if layer.of else "channels fixed",
        f"weights {bits(layer.bits.weight_bits)}, activations {bits(layer.bits.activation_bits)}",
    )
