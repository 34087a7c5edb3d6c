"""galen targets: list the targets and what each can run."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from galen.commands import options
from galen.edge import DONE

if TYPE_CHECKING:
    from galen.backends.target import Target


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    options.add_json(parser)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Print every target."""
    from galen.backends.targets import all_targets  # noqa: PLC0415

    if arguments.json:
        out.write(json.dumps([asdict(target) for target in all_targets()]) + "\n")
        return DONE
    for target in all_targets():
        out.write(_described(target))
    return DONE


def _described(target: "Target") -> str:
    from galen.backends.emulator.clock import Clock  # noqa: PLC0415

    caches = ", ".join(
        f"{name} {target.caches[name] >> 10} KiB" for name in ("l1", "l2", "l3") if name in target.caches
    )
    names = ", ".join((target.name, *target.aliases))
    lines = [
        target.description,
        f"{target.cpu}, {target.cores} cores at {target.frequency_hz / 1e9:g} GHz, {', '.join(target.features)}",
        f"caches: {caches or 'not modelled'}; memory {target.bandwidth / 1e9:g} GB/s",
        f"channels in multiples of {target.limits.channel_multiple}, at least {target.limits.minimum_channels}",
        *(f"{op}: {_widths(pairs)}" for op, pairs in target.limits.widths.items()),
        f"without a board, timed by {Clock(target).name}" if target.pipeline else "timed in real time only",
    ]
    return "\n    ".join([names, *filter(None, lines)]) + "\n"


def _widths(pairs: tuple[object, ...]) -> str:
    return "weights x activations " + ", ".join(
        f"{pair.weight_bits}x{pair.activation_bits}"  # type: ignore[attr-defined]
        for pair in pairs
    )
