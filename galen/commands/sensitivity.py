"""galen sensitivity: rank layers by how much each compression of one alone changes the outputs."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from galen.commands import common
from galen.edge import DONE, Parser

if TYPE_CHECKING:
    from galen.agents.sensitivity import Sensitivity

RATIOS = 10


def add_arguments(parser: Parser) -> None:
    """Describe the command line."""
    common.add_model(parser)
    parser.add_argument("--data", required=True, metavar="D", help="its first 256 samples are used; no labels needed")
    common.add_target(parser)
    common.add_output_form(parser)


def execute(arguments: argparse.Namespace, out: TextIO) -> int:
    """Measure and print."""
    from galen.candidate import Compressor, Recovery  # noqa: PLC0415
    from galen.options import SearchOptions  # noqa: PLC0415
    from galen.probing import Prober  # noqa: PLC0415
    from galen.subject import Subject  # noqa: PLC0415

    options = SearchOptions(
        model=arguments.model,
        data=arguments.data,
        output=Path(),
        target=arguments.target,
        shapes=common.shapes(arguments),
        seed=arguments.seed,
    )
    subject = Subject.load(options)
    compress = Compressor(subject, Recovery.parse("none"), options.criterion, options.seed)
    found = Prober.of(compress).sensitivity(subject.space())
    if arguments.json:
        json.dump(found.to_json(), out)
        out.write("\n")
    else:
        _print(found, out)
    return DONE


def _print(found: "Sensitivity", out: TextIO) -> None:
    """Print every curve, the most sensitive at its middle ratio first."""
    curves = [
        (name, parameter, values)
        for parameter, table in (("sparsity", found.sparsity), ("weights", found.weight), ("inputs", found.activation))
        for name, values in table.items()
    ]
    head = " ".join(f"{step / RATIOS:7.1f}" for step in range(RATIOS))
    out.write(f"KL divergence in nats at each ratio\n{head}\n")
    for name, parameter, values in sorted(curves, key=lambda curve: -curve[2][len(curve[2]) // 2]):
        out.write(f"{' '.join(f'{value:7.3f}' for value in values)}  {parameter} of {name}\n")
    for name, value in sorted(found.int8.items(), key=lambda entry: -entry[1]):
        out.write(f"{value:7.3f}  int8 of {name}\n")
