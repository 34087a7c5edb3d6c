"""galen targets: list the cores and boards that Galen knows."""

import argparse
import json
from typing import TYPE_CHECKING, Any, TextIO

from galen.edge import DONE, Parser

if TYPE_CHECKING:
    from galen.backends.target import Target


def add_arguments(parser: Parser) -> None:
    """Describe the command line."""
    parser.add_argument("--json", action="store_true", help="print the whole capability tables")


def execute(arguments: argparse.Namespace, out: TextIO) -> int:
    """Print the targets."""
    from galen.backends.targets import all_targets  # noqa: PLC0415

    known = all_targets()
    if arguments.json:
        json.dump([_table(target) for target in known], out)
        out.write("\n")
        return DONE
    for target in known:
        widths = sorted({pair for pairs in target.limits.widths.values() for pair in pairs}, reverse=True)
        out.write(f"{', '.join((target.name, *target.aliases))}\n    {target.description}\n")
        caches = ", ".join(f"{level} {size >> 10} KiB" for level, size in target.caches.items() if len(level) == 2)
        out.write(f"    {target.frequency_hz / 1e9:g} GHz; {target.bandwidth / 1e9:g} GB/s; {caches or 'caches: -'}\n")
        out.write(f"    features: {' '.join(target.features) or '-'}\n")
        out.write(f"    channels in multiples of {target.limits.channel_multiple}; ")
        out.write(f"weight x activation bits: {', '.join(f'{w}x{a}' for w, a in _pairs(widths))}\n")
    return DONE


def _pairs(widths: list[Any]) -> list[tuple[int, int]]:
    return [(pair.weight_bits, pair.activation_bits) for pair in widths] or [(32, 32)]


def _table(target: "Target") -> dict[str, Any]:
    return {
        "name": target.name,
        "aliases": list(target.aliases),
        "description": target.description,
        "triple": target.triple,
        "cpu": target.cpu,
        "features": list(target.features),
        "cores": target.cores,
        "frequency_hz": target.frequency_hz,
        "caches": dict(target.caches),
        "bandwidth": target.bandwidth,
        "channel_multiple": target.limits.channel_multiple,
        "minimum_channels": target.limits.minimum_channels,
        "widths": {op: _pairs(list(pairs)) for op, pairs in target.limits.widths.items()},
    }
