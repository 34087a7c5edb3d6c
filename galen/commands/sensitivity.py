"""galen sensitivity: rank layers by how much the outputs mind each single change."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from galen.commands import options
from galen.edge import DONE

if TYPE_CHECKING:
    from galen.agents.sensitivity import Sensitivity

Curves = Mapping[str, Mapping[str, tuple[float, ...]]]
MIDDLE = 5
"""Index of the ratio 0.5, by which changes are ranked."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    options.add_model(parser)
    options.add_target(parser)
    add = parser.add_argument
    add("--data", required=True, metavar="D", help="the first 256 samples are used; no labels needed")
    add("--criterion", default="l1", metavar="C", help="which channels go first (default l1)")
    add("-o", "--output", type=Path, metavar="OUT.html", help="draw the heat map")
    options.add_seed(parser)
    options.add_json(parser)


def run(arguments: argparse.Namespace, out: TextIO) -> int:
    """Measure (or remember) and print the divergences, highest first."""
    from galen.report.page import write_sensitivity  # noqa: PLC0415

    found = _measured(arguments)
    if arguments.output is not None:
        write_sensitivity(curves_of(found), arguments.model, arguments.output)
    if arguments.json:
        out.write(json.dumps(found.to_json()) + "\n")
    else:
        for divergence, parameter, name in ranked(curves_of(found)):
            out.write(f"{divergence:10.4g}  {parameter:<16}  {name}\n")
    return DONE


def _measured(arguments: argparse.Namespace) -> "Sensitivity":
    from galen.candidate import Compressor, Recovery  # noqa: PLC0415
    from galen.options import SearchOptions  # noqa: PLC0415
    from galen.probing import Prober  # noqa: PLC0415
    from galen.subject import Subject  # noqa: PLC0415

    chosen = SearchOptions(
        model=Path(arguments.model),
        data=arguments.data,
        output=Path(),
        target=arguments.target,
        shapes=options.shapes(arguments),
    )
    subject = Subject.load(chosen)
    compress = Compressor(subject, Recovery("none", 0), arguments.criterion, arguments.seed)
    return Prober.of(compress).sensitivity(subject.space())


def curves_of(found: "Sensitivity") -> Curves:
    """Return the divergences by group or layer, then by parameter."""
    by_parameter = {
        "sparsity": found.sparsity,
        "weight_bits": found.weight,
        "activation_bits": found.activation,
        "int8": {name: (value,) for name, value in found.int8.items()},
    }
    names = dict.fromkeys(name for curves in by_parameter.values() for name in curves)
    return {name: {p: curves[name] for p, curves in by_parameter.items() if name in curves} for name in names}


def ranked(curves: Curves) -> list[tuple[float, str, str]]:
    """Return KL divergence (at ratio 0.5 where there are ratios), parameter and name, highest first."""
    rows = [
        (values[min(MIDDLE, len(values) - 1)], parameter.replace("_", " "), name)
        for name, each in curves.items()
        for parameter, values in each.items()
    ]
    return sorted(rows, key=lambda row: (-row[0], row[1:]))
